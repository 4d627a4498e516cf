#!/usr/bin/env bash
# Every benchmark with its usual arguments. Ratios are against a baseline of the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bench/compare.py "$@"
for program in build/release/bench/bench_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  case ${program##*/} in bench_train|bench_decode) continue ;; esac # compare.py has run them
  echo "== ${program##*/}"
  "$program"
done
