id=$(flux submit --urgency=hold true)
flux job wait-event $id priority >/dev/null
flux cancel $id
flux job wait-event -v $id clean | tail -1
flux jobs -a -n -o '{state} {result}' $id
