flux kvs put a.b=1 a.c='"two"' list='[1,2]'
flux kvs get a.b a.c list
flux kvs ls a
flux kvs dir -R a
flux kvs unlink a.b
flux kvs get a.b || echo gone
flux kvs put --raw raw=text; flux kvs get --raw raw; echo
flux kvs getroot -b | cut -c1-5
