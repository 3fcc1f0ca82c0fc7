id=$(flux submit --flags=waitable false)
flux job wait $id 2>&1; echo $?
flux job wait 2>&1; echo $?
flux job status $(flux submit sh -c 'exit 5'); echo $?
flux job status -e 9 $(flux submit -N1000 true); echo $?
flux submit --quiet --flags=waitable true
flux job wait >/dev/null; echo $?
flux job status f1 2>&1
flux submit --quiet --watch sh -c 'echo out; exit 3'; echo $?
