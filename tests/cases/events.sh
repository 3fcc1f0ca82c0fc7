flux event sub -c 1 test > got &
pid=$!
until flux module stats connector-local >/dev/null 2>&1; do :; done
while kill -0 $pid 2>/dev/null; do flux event pub test.one '{"a":1}'; done
wait $pid
cat got
