# exit: 1
flux run -N 1000 true
