#!/bin/bash
# The first process of a machine: makes another Debian's root its own, and stays to collect the processes that are
# orphaned there. It runs in name spaces of its own, so nothing that it mounts outlives it.
# usage: machine.sh NAME ROOT WORK_FOLDER [OUTSIDE INSIDE]...
set -eu
name=$1 root=$2 work=$3
shift 3
mount -t tmpfs -o mode=755 machine "$work"
new=$work/root
mkdir "$work"/{changes,overlay} "$new"
# What happens in the machine is written beside the root, which the next machine finds as it was made.
mount -t overlay -o "lowerdir=$root,upperdir=$work/changes,workdir=$work/overlay" overlay "$new"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
for place in tmp run; do mount -t tmpfs "$place" "$new/$place"; done
chmod 1777 "$new/tmp"
chmod 755 "$new/run"
mount -t tmpfs -o mode=755 dev "$new/dev"
mkdir "$new"/dev/{pts,shm,mqueue}
while read -r device major minor; do mknod -m 666 "$new/dev/$device" c "$major" "$minor"; done << END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
END
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
mount -t tmpfs -o mode=1777 shm "$new/dev/shm"
mount -t mqueue mqueue "$new/dev/mqueue"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
for pair in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${pair%:*}" "$new/dev/${pair#*:}"; done
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$new$2"; else mkdir -p "$(dirname "$new$2")" && touch "$new$2"; fi
  mount --bind "$1" "$new$2"
  mount -o remount,bind,ro "$new$2"
  shift 2
done
printf '127.0.0.1 localhost %s\n' "$name" > "$new/etc/hosts"
: > "$new/etc/resolv.conf"
# Users are told apart by their numbers outside as well: this machine's must not be another's.
sed -i -E 's/^(UID|GID)_MIN.*/\1_MIN 30000/' "$new/etc/login.defs"
hostname "$name"
ip link set lo up
# With nothing but its loopback, look-ups of addresses to listen on find none, and slurmctld ends.
ip link add net0 type bridge
ip address add 10.76.0.1/32 dev net0
ip link set net0 up
cd "$new"
mkdir -p .outside
# Not chroot: the kernel refuses user namespaces, and so Apptainer, to a process in a changed root.
pivot_root . .outside
umount -l /.outside
rmdir /.outside
touch /run/machine
# Not `exec sleep`: as the first process it would leave every orphan a zombie. bash collects them while it waits.
while :; do
  sleep infinity &
  wait $! || true
done
