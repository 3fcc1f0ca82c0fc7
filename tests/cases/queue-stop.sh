flux queue stop
id=$(flux submit true)
flux job wait-event $id priority >/dev/null
flux jobs -n -o '{state}' $id
flux queue start
flux job wait-event $id clean >/dev/null
flux jobs -a -n -o '{state} {result}' $id
