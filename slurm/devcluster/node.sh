#!/bin/bash
# The first process of an isolated node: gives it a name, names of its neighbours and an address, starts slurmd, and
# stays to collect the processes that are orphaned there.
# usage: node.sh NAME ADDRESS/BITS HOSTS_FILE SLURMD_COMMAND...
set -eu
name=$1 address=$2 hosts=$3
shift 3
hostname "$name"
mount --bind "$hosts" /etc/hosts
# The machine's name servers are out of reach from here, and each look-up would wait for them.
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
for _ in {1..200}; do  # the other end of the cable is plugged in from outside
  if ip link show eth0 > /dev/null 2>&1; then break; fi
  sleep 0.05
done
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
"$@" &
# Not `exec sleep`: as the first process it would leave every orphan a zombie. bash collects them while it waits.
while :; do
  sleep infinity &
  wait $! || true
done
