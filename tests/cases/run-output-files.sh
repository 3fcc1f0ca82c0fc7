flux run --output=out.txt --error=err.txt sh -c 'echo to out; echo to err >&2' 2>/dev/null
cat out.txt err.txt
flux run --output='named-{{name}}.txt' --job-name=abc echo named 2>/dev/null
cat named-abc.txt
