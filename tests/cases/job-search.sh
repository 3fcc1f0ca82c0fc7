flux submit --quiet --urgency=hold --job-name=alpha true
flux submit --quiet --urgency=hold --job-name=beta -n2 true
flux pgrep -no '{name}' '^a'
flux pgrep -no '{name} {ntasks}' name:b
flux pgrep nosuch; echo $?
flux pstree -a
flux cancel -n --all 2>&1
flux pkill alpha 2>/dev/null
flux jobs -no '{name}'
flux cancel --all 2>&1
flux cancel --all 2>&1
flux jobs --stats-only; echo $?
