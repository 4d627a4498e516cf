#!/usr/bin/env bash
# runtime_packages.sh PROGRAM: the Debian packages that hold the libraries PROGRAM asks for, one a line.
# Only those that it names itself; their own dependencies are the package manager's business.
set -euo pipefail
program=$1

# "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)": the path, with merged /usr resolved.
path_of() { ldd "$program" | awk -v name="$1" '$1 == name {print $3}'; }

objdump -p "$program" | awk '$1 == "NEEDED" {print $2}' | while read -r name; do
  case $name in ld-linux*) continue ;; esac
  path=$(path_of "$name")
  [ -n "$path" ] && [ -e "$path" ] || { echo "$program: $name is not found here" >&2; exit 1; }
  # A package may still name the file without /usr, and a link may lead into a folder of its own.
  package=$(dpkg-query -S "$path" "$(readlink -f "$path")" "/usr$path" "${path#/usr}" 2>/dev/null |
    sed -n '1s/[:,].*//p') || true
  [ -n "$package" ] || { echo "$program: no package holds $path" >&2; exit 1; }
  echo "$package"
done | sort -u
