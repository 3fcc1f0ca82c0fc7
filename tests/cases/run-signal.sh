# exit: 143
flux run sh -c 'kill -TERM $$'
