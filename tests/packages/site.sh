# A machine as it is after installing the packages: this system's files with the packages' over them, in namespaces of their own.
# Sourced as root with ROOT (an empty directory) and DEBS (the packages). `inside` runs a script there; `unit` starts the unit's command
# as systemd would; `as USER COMMAND...` runs as a user, who needs no more than PATH to find the instance.
set -e
mount -t tmpfs -o size=1g,mode=755 none "$ROOT"
mkdir "$ROOT/upper" "$ROOT/work" "$ROOT/all"
mount -t overlay -o "lowerdir=${LOWER:-/},upperdir=$ROOT/upper,workdir=$ROOT/work" none "$ROOT/all"
for dir in proc dev; do
    mount --rbind "/$dir" "$ROOT/all/$dir"
done
mount -t sysfs none "$ROOT/all/sys"
mount -t cgroup2 none "$ROOT/all/sys/fs/cgroup"
mount -t tmpfs -o mode=1777 none "$ROOT/all/tmp"
mount -t tmpfs -o mode=755 none "$ROOT/all/run"
cp $DEBS "$ROOT/all/tmp/"
cp "${BASH_SOURCE[0]%/*}/functions.sh" "$ROOT/all/tmp/functions"
inside() { chroot "$ROOT/all" /bin/bash -c ". /tmp/functions; $1"; }
