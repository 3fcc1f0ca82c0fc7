only="--env=-* --rlimit=-* --cwd=/ --dry-run"
flux submit $only -n4 -c2 -t 1m -o verbose=2 -S user.x=[1] --env=A=b app arg
flux run $only -N2 -x --requires='a|-host:n1' --dependency=singleton app
flux alloc $only -n1 --conf=a.b=1 app
flux batch $only -n2 --wrap app
flux submit $only --flags=none app >/dev/null; echo $?
