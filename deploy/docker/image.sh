#!/usr/bin/env bash
# Build the image without an engine and without a registry, then run deploy/compose.yaml's services from
# it: every role in a container of its own, read-only, not root, each with its own address.
#
#     ./dev image [--steps N] [--rows N] [--build-only] [--keep] [--work FOLDER] [--archive FILE]
#
#     --steps N     train N steps instead of the quick start's 2,460
#     --rows N      label the first N rows of its corpus instead of all 10,000
#     --build-only  build and measure, start nothing
#     --keep        leave image and layers in the folder of --work, where the next call finds them
#     --work FOLDER where to work (default: a new folder under $TMPDIR); 6 GB are needed
#     --archive F   also write the image to F, as `docker load` and `podman load` take it
#
# The Dockerfile's base is made by debootstrap and slimmed as the official one is; buildah builds in a
# chroot, crun starts. Needs root. Everything it started or mounted is gone afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

base=docker.io/library/debian:bookworm-slim
suite=bookworm
mirror=${RETORT_MIRROR:-http://deb.debian.org/debian}
disk_needed_gb=6
steps= rows= build_only= keep= work= archive=

say() { printf '== %s\n' "$*"; }
fail() { echo "./dev image: $*" >&2; exit 4; }

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --steps) steps=$2; shift ;;
      --rows) rows=$2; shift ;;
      --build-only) build_only=1 ;;
      --keep) keep=1 ;;
      --work) work=$2; shift ;;
      --archive) archive=$2; shift ;;
      *) sed -n '/^# Build/,/^# chroot/s/^# \{0,1\}//p' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
    esac
    shift
  done
}

make_place() {
  local free_gb
  [ "$(id -u)" -eq 0 ] || fail "mounts and namespaces need root"
  if [ -z "$work" ]; then work=$(mktemp -d "${TMPDIR:-/tmp}/retort-image.XXXXXX"); else mkdir -p "$work"; fi
  work=$(cd "$work" && pwd)
  trap clean_up EXIT
  free_gb=$(df -BG --output=avail "$work" | tail -n 1 | tr -dc 0-9)
  [ "$free_gb" -ge "$disk_needed_gb" ] ||
    fail "$work has $free_gb GB free, $disk_needed_gb are needed; --work FOLDER chooses another place"
}

clean_up() {
  bud umount --all >/dev/null 2>&1 || true
  bud rm --all >/dev/null 2>&1 || true
  [ -n "$keep" ] || rm -rf --one-file-system "$work"
}

bud() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
have() { bud images --quiet "$1" >/dev/null 2>&1; }

# What the official slim image leaves out, too, now and whenever a package comes in.
slim() { # slim FOLDER
  cat > "$1/etc/dpkg/dpkg.cfg.d/docker" <<'TXT'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
TXT
  echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
  printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d" # no service starts in a build
  chmod 755 "$1/usr/sbin/policy-rc.d"
  find "$1/usr/share/doc" -mindepth 2 -not -name copyright -delete 2>/dev/null || true
  rm -rf "$1"/usr/share/{groff,info,linda,lintian,locale,man}/* "$1"/var/cache/apt/* \
    "$1"/var/lib/apt/lists/* "$1"/var/cache/debconf/*-old "$1"/var/log/*.log "$1"/var/log/apt/*
  mkdir -p "$1/var/cache/apt/archives/partial"
}

make_base() {
  local folder=$work/base container
  have "$base" && return 0
  say "a base by debootstrap: $suite from $mirror"
  rm -rf --one-file-system "$folder"
  debootstrap --variant=minbase "$suite" "$folder" "$mirror" > "$work/debootstrap.log" 2>&1 ||
    { tail -n 5 "$work/debootstrap.log"; fail "debootstrap failed"; }
  slim "$folder"
  cat > "$folder/etc/apt/sources.list" <<TXT
deb $mirror $suite main
deb $mirror $suite-updates main
deb ${mirror%/debian}/debian-security $suite-security main
TXT
  container=$(bud from scratch)
  # /proc is debootstrap's own mount, and lists what runs here.
  tar -C "$folder" --one-file-system --exclude=./proc/* --exclude=./sys/* -cf "$work/base.tar" .
  bud add --quiet "$container" "$work/base.tar" / >/dev/null
  bud config --cmd bash "$container"
  bud commit --quiet --rm "$container" "$base" >/dev/null
  umount -q "$folder/proc" "$folder/sys" 2>/dev/null || true
  rm -rf --one-file-system "$folder" "$work/base.tar"
}

build_image() {
  local revision; revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
  say "the image, as deploy/docker/Dockerfile says"
  bud bud --isolation chroot --pull-never --format docker --quiet \
    --build-arg "REVISION=$revision" --build-arg "VERSION=$(sed -nE 's/^project\(retort VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)" \
    -f deploy/docker/Dockerfile -t localhost/retort:latest . > "$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log"; fail "the build failed; $work/build.log (--keep)"; }
}

# Redis and Prometheus as Debian has them, under the names that compose.yaml uses. Grafana is no package.
make_neighbour() { # make_neighbour IMAGE PACKAGE ENTRYPOINT
  local container
  have "$1" && return 0
  say "$1 from Debian's $2"
  container=$(bud from --pull-never "$base")
  bud run --isolation chroot "$container" -- sh -c "apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $2 &&
    rm -rf /var/lib/apt/lists/*" > "$work/$2.log" 2>&1 || { tail -n 5 "$work/$2.log"; fail "$2 does not install"; }
  bud config --cmd '' "$container" # before: an entry point would be told that the base's command goes with it
  bud config --entrypoint "[\"$3\"]" "$container"
  bud commit --quiet --rm "$container" "$1" >/dev/null
}

measure() {
  local container folder bytes
  container=$(bud from --pull-never localhost/retort:latest)
  folder=$(bud mount "$container")
  say "size"
  printf '  %-26s %6.1f MB\n' \
    "unpacked" "$(du -sxB1 "$folder" | awk '{print $1 / 1e6}')" \
    "of that the base" "$(bud inspect --type image --format '{{.OCIv1.RootFS.DiffIDs}}' "$base" >/dev/null; base_bytes | awk '{print $1 / 1e6}')" \
    "libdnnl and OpenBLAS" "$(du -scLB1 "$folder"/usr/lib/*/libdnnl.so.2 "$folder"/usr/lib/*/openblas-openmp/libopenblas.so.0 | awk 'END {print $1 / 1e6}')" \
    "the program" "$(du -B1 "$folder/usr/local/bin/retort" | awk '{print $1 / 1e6}')"
  ldd_of "$folder" | grep -q 'not found' && { ldd_of "$folder"; fail "the image lacks a library"; }
  ls "$folder"/usr/bin/{gcc,cmake,clang*} >/dev/null 2>&1 && fail "the image has build tools in it"
  bud push --quiet localhost/retort:latest "docker-archive:${archive:=$work/retort.tar}:retort:latest" >/dev/null
  bytes=$(gzip -1 -c "$archive" | wc -c)
  printf '  %-26s %6.1f MB\n' "compressed, as it travels" "$(awk -v b="$bytes" 'BEGIN {print b / 1e6}')"
  bud rm "$container" >/dev/null
}

base_bytes() {
  local c f; c=$(bud from --pull-never "$base"); f=$(bud mount "$c")
  du -sxB1 "$f"; bud rm "$c" >/dev/null
}

ldd_of() { chroot "$1" ldd /usr/local/bin/retort; }

read_options "$@"
make_place
make_base
build_image
measure
[ -z "$build_only" ] || exit 0
make_neighbour docker.io/library/redis:7 redis-server redis-server
make_neighbour docker.io/prom/prometheus:v2.53.0 prometheus prometheus
say "deploy/compose.yaml, each service in a container of its own"
# In a mount namespace: whatever happens, no mount is left. crun does not know the hybrid layout of control
# groups and needs none; there it sees an empty one.
unshare --mount --propagation private sh -c '
  [ ! -d /sys/fs/cgroup/unified ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
  exec /usr/bin/python3 -B deploy/docker/compose_run.py "$@"' compose_run \
  --storage "$work/storage" --runroot "$work/run" --work "$work/stage" ${steps:+--steps "$steps"} ${rows:+--rows "$rows"}
