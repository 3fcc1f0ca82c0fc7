printf '#!/bin/sh\n# flux: -n1 --job-name="my job"\n# flux: --output=out # a comment\nflux run echo inside $1\n' >script
id=$(flux batch script arg)
flux job wait-event -q $id clean
cat out
flux jobs -a -n -o '{name} {result}' $id
printf '#!/bin/sh\n# flux: -n1\ntrue\n# flux: -N1\n' >script
flux batch script 2>&1
flux batch -n1 --wrap --quiet --output=wrapped echo two words
flux job wait-event -q $(flux job last) clean
cat wrapped
