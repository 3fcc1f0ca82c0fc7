for form in dec hex dothex kvs words f58plain; do flux job id --to=$form 1234567890123; done
flux job id --to=dec f2Xk7Jt
