flux kvs put target=1
flux kvs link target link
flux kvs get link
flux kvs readlink link
flux kvs link loop1 loop2; flux kvs link loop2 loop1
flux kvs get loop1 || echo loop
