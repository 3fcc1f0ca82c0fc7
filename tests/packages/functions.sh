# What scripts of packages.rs use inside a machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
unset FLUX_URI
as() {
    user=$1
    shift
    (cd / && exec setpriv --reuid "$user" --regid "$user" --init-groups env -i PATH="$PATH" HOME="$(getent passwd "$user" | cut -d: -f6)" USER="$user" LC_ALL=C.UTF-8 "$@")
}
# What systemd does of /usr/lib/systemd/system/flux.service.
unit() {
    install -d -m 755 -o flux -g flux /run/flux
    install -d -m 700 -o flux -g flux /var/lib/flux
    tree=/sys/fs/cgroup/flux-try-$$
    mkdir -p $tree/flux.service
    chown flux $tree/flux.service $tree/flux.service/cgroup.*
    sed -n '/^ExecStart=/,/^ExecReload/p' /usr/lib/systemd/system/flux.service | sed '$d; s/^ExecStart=//; s/\$\$/$/g' >/tmp/start
    sh -c "echo 0 >$tree/flux.service/cgroup.procs; exec setpriv --reuid flux --regid flux --init-groups env -i PATH=$PATH sh /tmp/start" >/tmp/broker.log 2>&1 &
    for _ in $(seq 200); do
        as flux flux getattr size >/dev/null 2>&1 && return
        sleep 0.05
    done
    cat /tmp/broker.log
    return 1
}
