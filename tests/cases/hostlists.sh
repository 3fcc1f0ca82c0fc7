flux hostlist -e 'a[1-3]'
flux hostlist a1 a2 a3 b7
flux hostlist -c 'n[0-9]'
