#!/usr/bin/env bash
# The Debian package of Retort: built for any processor of the last years, not for this one alone.
#
#     build.sh            build/package/retort_VERSION_ARCH.deb
#     build.sh --check    and try it on a clean system made for it: installed with its dependencies, and used;
#                         RETORT_MIRROR is where debootstrap finds Debian
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "$(uname -m)" in
  x86_64) march=${RT_MARCH-x86-64-v3} ;;
  *) march=${RT_MARCH-} ;;
esac

build() {
  local extra=()
  command -v ccache >/dev/null && extra+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake --preset release -B build/package -DRT_MARCH="$march" -DBUILD_TESTING=OFF "${extra[@]}" > /dev/null
  cmake --build build/package --target retort arithmetic-problems pages
  rm -f build/package/*.deb
  (cd build/package && cpack -B . > cpack.log 2>&1) || { cat build/package/cpack.log; exit 1; }
  deb=$(ls build/package/*.deb)
  echo "$deb: $(($(stat -c %s "$deb") / 1024)) KiB, for ${march:-any $(uname -m)}"
}

# A system of nothing but Debian's base, with what this machine says of getting packages.
clean_system() { # clean_system FOLDER
  local suite mirror=${RETORT_MIRROR:-http://deb.debian.org/debian}
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  debootstrap --variant=minbase "$suite" "$1" "$mirror" > "$1.log" 2>&1 || { tail -n 20 "$1.log"; exit 4; }
  echo "deb $mirror $suite main" > "$1/etc/apt/sources.list"
  grep -l Acquire /etc/apt/apt.conf.d/* | xargs -r cp -t "$1/etc/apt/apt.conf.d/"
  cp /etc/resolv.conf /etc/hosts "$1/etc/"
  printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d" # no service is started in there
  chmod 755 "$1/usr/sbin/policy-rc.d"
}

check() {
  [ "$(id -u)" -eq 0 ] || { echo "--check makes a system of its own, which needs root" >&2; exit 4; }
  local root
  root=$(mktemp -d "${TMPDIR:-/var/tmp}/retort-package.XXXXXX")
  # shellcheck disable=SC2064
  trap "umount '$root/proc' 2>/dev/null || true; rm -rf --one-file-system '$root' '$root.log'" EXIT
  chmod 755 "$root"
  clean_system "$root"
  mount -t proc proc "$root/proc"
  cp "$deb" tests/package/try.sh "$root/tmp/"
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 http_proxy="${http_proxy:-}" \
    https_proxy="${https_proxy:-}" bash /tmp/try.sh
}

build
[ "${1:-}" != --check ] || check
