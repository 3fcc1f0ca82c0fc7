export FOO=outer
flux run sh -c 'echo $FOO'
flux run --env=FOO=inner sh -c 'echo $FOO'
flux run --env-remove=FOO sh -c 'echo "[$FOO]"'
flux submit --cc=1-3 --wait sh -c 'echo $FLUX_JOB_CC > cc.$FLUX_JOB_CC' | sort
cat cc.1 cc.2 cc.3
flux run --cwd=/ pwd
