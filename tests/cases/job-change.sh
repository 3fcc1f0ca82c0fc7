id=$(flux submit --urgency=hold -t 1m true)
flux update $id duration=5m
flux update $id duration=+1m
flux jobs -no '{duration}' $id
flux job memo $id a=1 b.c=x
flux jobs -no '{user.a} {user.b.c}' $id
flux job urgency $id 99 2>/dev/null || echo refused
flux job urgency -v $id 7 2>&1
flux job wait-event -q $id clean
flux jobs -no '{urgency} {duration} {result}' $id
flux job raise $id 2>/dev/null || echo inactive
flux job info $id nosuchkey 2>&1 || true
