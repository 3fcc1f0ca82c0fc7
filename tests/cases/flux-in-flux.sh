flux run flux start flux getattr size
flux run flux start flux run echo inner
