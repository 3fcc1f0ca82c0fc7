# A site for three users: an /etc of its own with real accounts, a set-id copy of the program, and an instance that the user
# `flux` runs. Sourced as root in new mount and process namespaces, with ROOT (an empty directory), FLUX (the program) and CONFIG
# (more configuration). `as USER COMMAND...` runs as a user; `broker` starts the instance, `restart` kills it and starts it again.
set -e
HERE=${BASH_SOURCE%/*}
chmod 755 "$ROOT"
mkdir -p "$ROOT"/etc/default "$ROOT"/home "$ROOT"/bin "$ROOT"/run "$ROOT"/state
for file in passwd group shadow gshadow nsswitch.conf hosts login.defs ld.so.cache localtime; do
    cp -L "/etc/$file" "$ROOT/etc/$file" 2>/dev/null || true
done
mkdir -p "$ROOT"/etc/flux/imp/conf.d "$ROOT"/etc/flux/security/conf.d
cp "$FLUX" "$ROOT/bin/flux"
cp "${IMP:-$FLUX}" "$ROOT/bin/flux-imp"
chmod 4755 "$ROOT/bin/flux-imp"
ln -s flux "$ROOT/bin/flux-shell"
if [ -n "$BROKER" ]; then
    cp "$BROKER" "$ROOT/bin/flux-weakened"
    BROKER=flux-weakened
fi
mount --bind "$ROOT/etc" /etc
# A /tmp of its own, with ROOT in it under the name that it has.
mkdir -p "$ROOT/tmp/${ROOT##*/}"
chmod 1777 "$ROOT/tmp"
mount --bind "$ROOT" "$ROOT/tmp/${ROOT##*/}"
mount --rbind "$ROOT/tmp" /tmp
cd /

useradd -M -d /nonexistent -s /bin/sh flux
for user in alice bob carol; do
    useradd -m -b "$ROOT/home" -s /bin/sh "$user" 2>/dev/null
done
chown flux "$ROOT/run" "$ROOT/state"
cat >/etc/flux/imp/conf.d/imp.toml <<END
[exec]
allowed-users = ["flux"]
allowed-shells = ["$ROOT/bin/flux-shell"]
[run.whoami]
path = "/usr/bin/id"
allowed-users = ["flux"]
END
for name in prolog epilog housekeeping; do
    cat >/etc/flux/imp/$name <<END
#!/bin/sh
echo "$name \$(id -u) job \$FLUX_JOB_ID of \$FLUX_JOB_USERID, owner \$FLUX_OWNER_USERID" >>$ROOT/ran
[ $name = prolog ] && [ -e $ROOT/broken ] && exit 1
exit 0
END
    chmod 755 /etc/flux/imp/$name
    printf '[run.%s]\npath = "/etc/flux/imp/%s"\nallowed-users = ["flux"]\n' $name $name >>/etc/flux/imp/conf.d/imp.toml
done
cat >/etc/flux/security/conf.d/sign.toml <<END
[sign]
max-ttl = 3600
default-type = "curve"
allowed-types = ["curve"]
[sign.curve]
require-ca = false
END
cat >"$ROOT/conf.toml" <<END
[access]
allow-guest-user = ${GUESTS:-true}
$ACCESS
[exec]
$EXEC
$MORE
END
PATH=$ROOT/bin:/usr/sbin:/usr/bin:/sbin:/bin
URI=local://$ROOT/run/local-0

as() {
    user=$1
    shift
    (cd / && exec setpriv --reuid "$user" --regid "$user" --init-groups \
        env -i PATH="$PATH" HOME="$ROOT/home/$user" USER="$user" LC_ALL=C.UTF-8 FLUX_URI="$URI" "$@")
}

broker() {
    (cd / && exec setpriv --reuid flux --regid flux --init-groups env -i PATH="$PATH" FLUX_WEAKEN="$WEAKEN" \
        ${BROKER:-flux} broker -c "$ROOT/conf.toml" "-Srundir=$ROOT/run" "-Sstatedir=$ROOT/state" sleep 600) >"$ROOT/broker.log" 2>&1 &
    disown
    for _ in $(seq 200); do
        as flux flux getattr size >/dev/null 2>&1 && return
        sleep 0.05
    done
    cat "$ROOT/broker.log" >&2
    return 1
}

lose_broker() {
    kill -9 "$(as flux flux getattr broker.pid)"
    sleep 0.2
}

# Waits until job $2 of user $1 runs.
started() {
    as "$1" flux job wait-event -t 10 "$2" shell.start -p exec >/dev/null
}

for user in alice bob carol; do
    as "$user" flux keygen --sign >/dev/null
done
broker
set +e
