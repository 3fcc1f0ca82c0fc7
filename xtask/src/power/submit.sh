# Runs in the instance: which jobs are known, then new ones until the power is cut.
echo "@list"
flux job list --all >/tmp/jobs || echo "@end job list: $?"
sed -n 's/^{"id": *\([0-9]*\),.*/\1/p' /tmp/jobs >/tmp/ids
flux job id --to=f58 </tmp/ids || echo "@end job id: $?"
echo "@submit"
while :; do
    for count in 2 5 20 50; do
        flux submit --cc=1-$count --urgency=0 true || echo "@end submit: $?"
    done
done
