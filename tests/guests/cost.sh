# What a guest's job costs beside one of the instance's owner: CPU time of the broker and of all that it has waited for, in
# microseconds a job. Sourced after site.sh; JOBS says how many of each, in turns.
spent() {
    read -r -a fields <"/proc/$(as flux flux getattr broker.pid)/stat"
    echo $(((fields[13] + fields[14] + fields[15] + fields[16]) * 1000000 / $(getconf CLK_TCK)))
}
# round USER VARIABLE: adds what jobs of that user cost.
round() {
    before=$(spent)
    as "$1" flux submit --quiet --cc=1-"$JOBS" --wait true
    sleep 0.3
    printf -v "$2" %d $((${!2} + ($(spent) - before) / JOBS))
}
# Keys as the site's authority certifies them: the rule in a system instance.
printf '[ca]\nmax-cert-ttl = 86400\nmax-sign-ttl = 3600\ncert-path = "/etc/ca"\nrevoke-dir = "/etc/revoked"\ndomain = "site"\n' |
    tee /etc/flux/security/conf.d/ca.toml >/etc/flux/imp/conf.d/ca.toml
sed -i 's/require-ca = false/require-ca = true/' /etc/flux/security/conf.d/sign.toml
flux keygen --ca >/dev/null
as alice flux keygen --sign --force --certify flux-imp >/dev/null
as flux flux run true
as alice flux run true
owner=0 guest=0 rounds=3
for _ in $(seq $rounds); do
    round flux owner
    round alice guest
done
echo "owner $((owner / rounds)) guest $((guest / rounds)) percent $((guest * 100 / owner))"
