#!/usr/bin/env bash
# Every benchmark with its usual arguments. Ratios are against a baseline of the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for program in build/release/bench/bench_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  echo "== ${program##*/}"
  "$program"
done
