flux submit --job-name=first --wait true >/dev/null
flux submit --job-name=second --wait false >/dev/null
flux jobs -a -n -o '{name} {status_abbrev} {ntasks} {nnodes} {returncode}'
flux jobs -n | wc -l
