flux resource list -n -o '{state} {nnodes}'
flux resource drain 0 testing
flux resource list -n -s down -o '{state} {nnodes}'
flux resource undrain 0
flux resource list -n -s free -o '{state} {nnodes}'
