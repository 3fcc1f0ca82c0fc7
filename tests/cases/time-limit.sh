# exit: 142
flux run -t 0.2s sleep 300
