# exit: 3
flux run true && echo zero
flux run sh -c 'exit 3'
