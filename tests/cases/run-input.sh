printf 'one\ntwo\n' | flux run cat
printf 'x\n' | flux run -n2 -l --input=1 cat
flux run --input=/dev/null cat && echo empty
head -c 1000000 /dev/zero | flux run wc -c
echo late | flux run sh -c 'sleep 0.2; cat'
echo unread | flux run true; echo $?
