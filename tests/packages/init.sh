# The first process of a machine of boot.sh: mounts what a kernel has ready for systemd, and becomes it.
set -e
cd "$ROOT/all"
mount --make-rprivate /
mount -t proc none proc
mount -t sysfs -o ro none sys
mount -t cgroup2 none sys/fs/cgroup
for dir in run tmp dev; do mount -t tmpfs -o mode=755 none $dir; done
chmod 1777 tmp
for node in null zero full random urandom tty; do : >dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=0666 none dev/pts; ln -s pts/ptmx dev/ptmx
cp $DEBS "${BASH_SOURCE[0]%/*}/functions.sh" mnt/ # systemd clears /tmp.
hostname flux-test; ip link set lo up || true
mkdir -p tmp/old; pivot_root . tmp/old; umount -l /tmp/old; cd /
exec env -i container=test /lib/systemd/systemd --system --unit=basic.target >/dev/null 2>&1 </dev/null
