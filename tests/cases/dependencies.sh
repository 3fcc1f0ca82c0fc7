a=$(flux submit false)
b=$(flux submit --dependency=afternotok:$a true)
c=$(flux submit --dependency=afterok:$a true)
flux job wait-event $b clean >/dev/null
flux job wait-event $c clean >/dev/null
flux jobs -a -n -o '{name} {result}' $b $c
