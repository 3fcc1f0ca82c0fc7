flux kvs namespace create ns
flux kvs put -N ns x=1
flux kvs get -N ns x
flux kvs get x || echo not in primary
flux kvs namespace remove ns
