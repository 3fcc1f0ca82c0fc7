# exit: 143
id=$(flux submit sleep 300)
flux job wait-event $id start >/dev/null
flux cancel $id
flux job attach $id
