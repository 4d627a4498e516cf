#!/usr/bin/env bash
# Become a pod's container: run as process 1 of new namespaces (mount, pid, uts, ipc; the network's was
# joined before), see only what the pod mounts, hold nothing that its security context drops.
#
#     pod.sh ROOT NAME UID WORKDIR MOUNTS ENVIRONMENT COMMAND...
#
# MOUNTS: lines SOURCE<tab>TARGET<tab>ro|rw. ENVIRONMENT: lines NAME=VALUE.
set -euo pipefail
root=$1 name=$2 uid=$3 workdir=$4 mounts=$5 environment=$6
shift 6

mount --make-rprivate /
hostname "$name"
mount --bind "$root" "$root"
while IFS=$'\t' read -r source target mode; do
  mount --bind "$source" "$root$target"
  # A bind mount takes its flags in a second step.
  [ "$mode" = rw ] || mount -o remount,bind,ro "$root$target"
done < "$mounts"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
mapfile -t variables < "$environment"

exec chroot "$root" /usr/bin/setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs \
  --bounding-set -all --inh-caps -all /usr/bin/env -i -C "$workdir" \
  PATH=/usr/local/bin:/usr/bin:/bin HOSTNAME="$name" "${variables[@]}" "$@"
