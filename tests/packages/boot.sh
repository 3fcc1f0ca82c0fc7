# A machine that systemd boots, with this system's files and the packages' over them, in namespaces of all kinds, as site.sh makes one
# without. Sourced as root in new mount and process namespaces, with ROOT (an empty directory) and DEBS (the packages, in /mnt there).
# `inside` runs a script there. When it is over, so is all that systemd and its units have started.
set -e
HERE=${BASH_SOURCE[0]%/*}
mount -t tmpfs -o size=1g,mode=755 none "$ROOT"
mkdir "$ROOT/upper" "$ROOT/work" "$ROOT/all" "$ROOT/groups"
mount -t overlay -o "lowerdir=${LOWER:-/},upperdir=$ROOT/upper,workdir=$ROOT/work" none "$ROOT/all"
mount -t cgroup2 none "$ROOT/groups"
GROUP=$ROOT/groups/${ROOT//\//-}
mkdir "$GROUP"
(echo "$BASHPID" >"$GROUP/cgroup.procs" && exec unshare -C -m -p -f -u -i -n --kill-child bash "$HERE/init.sh") &
enter() { nsenter -t "$(pgrep -P $! -x systemd)" -a "$@"; }
until enter systemctl is-system-running --wait 2>/dev/null | grep -q .; do sleep 0.1; done
inside() {
    enter /bin/bash -c ". /mnt/functions.sh; $1" || true
    kill -KILL $!
    until echo 1 >"$GROUP/cgroup.kill" && find "$GROUP" -depth -type d -exec rmdir {} +; do sleep 0.1; done 2>/dev/null
}
