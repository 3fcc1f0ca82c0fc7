id=$(flux submit true)
flux job wait-event $id clean >/dev/null
flux job eventlog $id | sed 's/annotations=.*//'
