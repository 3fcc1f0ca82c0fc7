flux submit --cc=1-3 --quiet --wait --output=out.{cc} sh -c 'echo $FLUX_JOB_CC'
cat out.1 out.2 out.3
flux submit --bcc=7 --quiet --wait --output=bcc sh -c 'test -z "$FLUX_JOB_CC" && echo unset {cc}'
cat bcc
flux submit --cc=1-50 --wait-event=start true | wc -l
flux submit --cc=1 --bcc=2 true 2>&1 || true
