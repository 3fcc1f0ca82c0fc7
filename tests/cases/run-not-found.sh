# exit: 127
flux run no-such-program
