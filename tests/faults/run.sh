#!/usr/bin/env bash
# ./dev faults: builds what the fault tests need and runs them. docs/reliability.md says what for.
#
#   (nothing)              every row of the matrix, on an optimised build
#   --ci                   the tests tagged `ci`, on the sanitized build
#   --only GLOB            files like tests/faults/GLOB*.bats
#   --soak TIME [--seed N] [--steps N]
#                          random kills of random processes for so long (90, 30m, 2h), or so many (1000x), in
#                          runs of so many steps (60)
#   --mutants [NAME]       defects patched into a copy of the sources: the suite has to turn red
#   --report               write the figures of the last run of each row into docs/reliability.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

jobs=${FAULTS_JOBS:-2}

fail() { echo "./dev faults: $*" >&2; exit 1; }

build() { # build PRESET
  local extra=()
  command -v ccache >/dev/null && extra+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  [ "${CI:-}" = true ] && extra+=(-DRT_WERROR=ON)
  cmake --preset "$1" "${extra[@]}" > /dev/null
  cmake --build "build/$1" --target faults_targets
}

environment() { # environment PRESET
  export RT_SOURCE_DIR=$PWD RT_BUILD_DIR=$PWD/build/$1
  export RETORT=$RT_BUILD_DIR/retort FAULT_TEACHER=$RT_BUILD_DIR/fault-teacher PROBLEMS=$RT_BUILD_DIR/arithmetic-problems
  export FAULTS_RESULTS=$RT_BUILD_DIR/faults-results.jsonl
  FAULTS_BASE=$(mktemp -d "${TMPDIR:-/tmp}/retort-faults.XXXXXX")
  export FAULTS_BASE
  trap 'rm -rf "$FAULTS_BASE"' EXIT
  # A sanitizer's shadow memory counts as memory of the process.
  [ "$1" != asan ] || export FAULTS_RSS_MAX_KB=1500000
  export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
}

# Files side by side; each one's tests stay in order. Red when any is.
run_files() { # run_files BATS_ARGS... -- FILES...
  local args=()
  while [ "$1" != -- ]; do args+=("$1"); shift; done
  shift
  printf '%s\0' "$@" | xargs -0 -P "$jobs" -I{} bats --timing "${args[@]}" {}
}

run_all() {
  build faults
  environment faults
  rm -f "$FAULTS_RESULTS"
  run_files -- tests/faults/[0-9]*.bats
}

run_ci() {
  build asan
  environment asan
  rm -f "$FAULTS_RESULTS"
  local files
  mapfile -t files < <(grep -l 'test_tags=ci' tests/faults/[0-9]*.bats)
  run_files --filter-tags ci -- "${files[@]}"
}

# What the rows of these files have to say is said anew.
run_only() {
  local file row
  build faults
  environment faults
  for file in tests/faults/$1*.bats; do
    row=${file##*/}
    [ ! -f "$FAULTS_RESULTS" ] || sed -i "/\"row\": $((10#${row%%_*})),/d" "$FAULTS_RESULTS"
  done
  run_files -- tests/faults/$1*.bats
}

case "${1:-}" in
  '') run_all ;;
  --ci) run_ci ;;
  --only) run_only "${2:?}" ;;
  --soak)
    build faults
    environment faults
    seed=$RANDOM$RANDOM steps=60 how_long=${2:?}
    shift 2
    while [ $# -gt 0 ]; do
      case "$1" in
        --seed) seed=${2:?} ;;
        --steps) steps=${2:?} ;;
        *) fail "unknown option $1" ;;
      esac
      shift 2
    done
    bash tests/faults/soak.sh "$how_long" "$seed" "$steps" ;;
  --seed) exec "$0" --soak "${4:-5m}" --seed "${2:?}" ;;
  --mutants) exec tests/faults/mutants.sh "${@:2}" ;;
  --report) python3 tests/faults/report.py build/faults/faults-results.jsonl docs/reliability.md ;;
  *) fail "unknown option $1" ;;
esac
