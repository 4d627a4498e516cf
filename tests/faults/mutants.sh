#!/usr/bin/env bash
# ./dev faults --mutants [NAME]: a suite that cannot fail proves nothing. Each patch of mutants/ puts one
# defect into a copy of the sources; the tests that its first lines name have to turn red. A patch that
# no longer applies is an error: the code it was made for has changed, and so must the patch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=$PWD/build/mutants
jobs=${FAULTS_JOBS:-2}
n_survived=0
n_caught=0

# The sources as they are now, without touching what has not changed: the rest need not be built again.
copy_sources() {
  local sums=$scratch/build/sources.sha1 changed=$scratch/build/changed
  mkdir -p "$scratch/build"
  git ls-files --cached --others --exclude-standard | while read -r file; do [ ! -f "$file" ] || echo "$file"; done |
    xargs -d '\n' sha1sum > "$sums"
  (cd "$scratch" && sha1sum --check --quiet "$sums" 2> /dev/null || true) | sed 's/: FAILED.*//' > "$changed"
  xargs -r -d '\n' -a "$changed" cp -p --parents -t "$scratch"
  (cd "$scratch" && xargs -r -d '\n' -a "$changed" touch)
}

build() {
  local extra=()
  command -v ccache > /dev/null && extra+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  (cd "$scratch" && cmake --preset faults "${extra[@]}" > /dev/null &&
    cmake --build build/faults -j "$jobs" --target faults_targets > build.log 2>&1) || {
    tail -n 20 "$scratch/build.log" >&2
    echo "mutants: $1 does not compile" >&2
    exit 1
  }
}

# Names of the tests that turned red, or nothing. A word is FILE or FILE:FILTER, _ for a blank.
red_tests() {
  local word
  export RT_SOURCE_DIR=$scratch RT_BUILD_DIR=$scratch/build/faults
  export RETORT=$RT_BUILD_DIR/retort FAULT_TEACHER=$RT_BUILD_DIR/fault-teacher PROBLEMS=$RT_BUILD_DIR/arithmetic-problems
  unset FAULTS_RESULTS FAULTS_BASE
  for word in "$@"; do
    local filter=()
    [ "${word#*:}" = "$word" ] || filter=(-f "$(echo "${word#*:}" | tr _ ' ')")
    bats "${filter[@]}" "$scratch/tests/faults/${word%%:*}".bats 2>&1 | grep '^not ok' || true
  done
}

judge() { # judge PATCH
  local name tests red
  name=$(basename "$1" .patch)
  tests=$(sed -n 's/^tests: //p' "$1" | head -n 1)
  patch -d "$scratch" -p1 -s < "$1"
  build "$name"
  # shellcheck disable=SC2086
  red=$(red_tests $tests)
  patch -d "$scratch" -p1 -s -R < "$1"
  if [ -n "$red" ]; then
    n_caught=$((n_caught + 1))
    printf 'caught    %-28s %s\n' "$name" "$(echo "$red" | head -n 1)"
  else
    n_survived=$((n_survived + 1))
    printf 'SURVIVED  %-28s %s\n' "$name" "$tests"
  fi
}

# Before anything is built.
look_at_patches() { # look_at_patches PATCHES...
  local patch n_bad=0
  for patch in "$@"; do
    [ -n "$(sed -n 's/^tests: //p' "$patch")" ] || { echo "mutants: $patch names no tests" >&2; n_bad=1; }
    patch -d "$scratch" -p1 --dry-run -s < "$patch" > /dev/null ||
      { echo "mutants: $patch does not apply any more" >&2; n_bad=1; }
  done
  return "$n_bad"
}

# Tests that are red anyway would seem to catch everything.
look_without_defect() { # look_without_defect PATCHES...
  local red
  build "the unchanged copy"
  # shellcheck disable=SC2046
  red=$(red_tests $(sed -n 's/^tests: //p' "$@" | sort -u))
  [ -z "$red" ] || { echo "mutants: red without any defect: $red" >&2; exit 1; }
  echo "green     without any defect"
}

copy_sources
patches=(tests/faults/mutants/${1:-*}.patch)
look_at_patches "${patches[@]}"
look_without_defect "${patches[@]}"
for patch in "${patches[@]}"; do judge "$patch"; done
echo "$n_caught caught, $n_survived survived"
[ "$n_survived" -eq 0 ]
