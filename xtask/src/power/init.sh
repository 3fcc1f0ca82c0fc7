# The first process of the guest: starts the broker, and reports on the console. See xtask/src/power.rs.
export PATH=/bin FLUX_F58_FORCE_ASCII=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
hostname guest
ip link set lo up
echo "@up"
flux broker -c/flux.toml -Sstatedir=/state -Srundir=/run/flux sh /submit.sh
echo "@end the broker ended with $?"
poweroff -f
