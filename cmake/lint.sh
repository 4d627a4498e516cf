#!/usr/bin/env bash
# clang-tidy over every source that is no test, with the checks of .clang-tidy, kept at zero.
#
#     cmake/lint.sh             # all; needs build/debug/compile_commands.json
#     cmake/lint.sh FILE.c...   # these
#
# One source at a time: clang-tidy 14 loses track of va_list in the second. What was clean is not looked at again
# until it changes, or a header, the checks or the program do: .cache/lint holds an empty file for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
linter=$(command -v clang-tidy-14 || command -v clang-tidy)
clean_dir=.cache/lint

all_files() { git ls-files --cached --others --exclude-standard -- "$@"; }
key_of() { # key_of FILE: what its findings depend on
  { echo "$RT_LINT_SHARED"; cat "$1"; } | sha256sum | cut -c1-40
}

# The end of the pipeline below: `cmake/lint.sh --one FILE` prints one line, and findings to stderr.
lint_one() {
  local file=$1 key start=$SECONDS findings
  key=$(key_of "$file")
  # -march=native of gcc may name a CPU that this clang does not know; the checks do not need it.
  # clang may have no omp.h: it gets gcc's, but none of the headers beside it.
  if findings=$("$linter" -p build/debug --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-march=x86-64-v3 --extra-arg="-idirafter$PWD/build/debug/omp" \
    --extra-arg=-include --extra-arg="$PWD/cmake/lint.h" "$file" 2>&1); then
    : > "$clean_dir/$key"
    echo "$file  $((SECONDS - start)) s"
    return 0
  fi
  printf '%s\n' "$findings" | grep -v ' generated\.$' >&2
  echo "$file  FINDINGS"
  return 1
}

if [ "${1:-}" = --one ]; then
  lint_one "$2"
  exit
fi

[ -f build/debug/compile_commands.json ] || { echo "lint: configure first: cmake --preset debug" >&2; exit 2; }
mkdir -p "$clean_dir" build/debug/omp
ln -sf "$(gcc -print-file-name=include)/omp.h" build/debug/omp/omp.h
RT_LINT_SHARED=$({ "$linter" --version; cat .clang-tidy cmake/lint.h; all_files '*.h' '*.proto' | sort | xargs cat; } | sha256sum)
export RT_LINT_SHARED
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(all_files '*.c' | grep -v '^tests/'); fi
todo=()
for file in "${files[@]}"; do
  [ -e "$clean_dir/$(key_of "$file")" ] || todo+=("$file")
done
echo "lint: ${#files[@]} sources, ${#todo[@]} to look at"
if [ "${#todo[@]}" -gt 0 ]; then
  printf '%s\0' "${todo[@]}" | xargs -0 -P "${RT_LINT_JOBS:-$(nproc)}" -n1 cmake/lint.sh --one |
    awk -v n="${#todo[@]}" '{ printf "[%d/%d] %s\n", NR, n, $0; fflush() }'
fi
echo "lint: clean"
