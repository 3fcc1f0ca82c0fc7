flux run echo hello
flux run -n2 -l sh -c 'echo task $FLUX_TASK_RANK of $FLUX_JOB_SIZE' | sort
echo input | flux run cat
flux run --input=/dev/null cat
