flux bulksubmit --quiet --wait --output={0}.{1} echo {1} {0} ::: a b ::: 1 2
cat a.1 a.2 b.1 b.2
flux bulksubmit --dry-run --job-name={./%} run {} ::: /x/y.c z
printf '1 2\n3\n' | flux bulksubmit --sep=none --dry-run echo {} {seq1}
printf 'x\ny\n' >list
flux bulksubmit --dry-run echo {0} {1} :::: list :::+ 1 2
flux bulksubmit --dry-run echo {1} ::: a 2>/dev/null || echo refused
flux bulksubmit echo {} </dev/null 2>&1 || true
