# Runs in the instance: which jobs are known, then new ones until the power is cut.
echo "@list"
flux job list --all | sed -n 's/^{"id": *\([0-9]*\),.*/\1/p' >/tmp/known || echo "@end job list: $?"
flux job id --to=f58 </tmp/known
echo "@submit"
while :; do
    for count in 2 5 20 100; do
        flux submit --cc=1-$count --urgency=0 true || echo "@end submit: $?"
    done
done
