# Runs inside the instance: both jobs of each way at the same time.
show() {
    for id in "$@"; do flux job attach "$id" | sort; done
    flux jobs -o '{name:<14} {ntasks:>3} tasks on nodes {ranks}' -n "$@"
    set -- $(flux jobs -no '{t_run} {t_inactive}' "$@")
    echo "at the same time: $(awk "BEGIN { print ($1 < $4 && $3 < $2) ? \"yes\" : \"no\" }")"
}
echo "--- Partitioning: compute has two nodes, I/O forwarding has the third"
compute=$(flux submit -N 2 -n 6 ./compute.sh)
io=$(flux submit -N 1 -n 3 ./io-forwarding.sh)
show $compute $io
echo "--- Overlapping: both have a part of every node"
compute=$(flux submit -N 3 -n 6 ./compute.sh)
io=$(flux submit -N 3 -n 3 ./io-forwarding.sh)
show $compute $io
