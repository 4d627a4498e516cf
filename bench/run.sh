#!/usr/bin/env bash
# Every benchmark with its usual arguments. Ratios are against a baseline of the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bench/compare.py "$@"
for program in build/release/bench/bench_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  case ${program##*/} in bench_train|bench_decode) continue ;; esac # compare.py has run them
  echo "== ${program##*/}"
  if [ "${program##*/}" != bench_queue ]; then "$program"; continue; fi
  folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
  redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no --dir "$folder" > /dev/null &
  redis=$!
  until [ -S "$folder/redis.sock" ]; do sleep 0.1; done
  "$program" "url=unix:$folder/redis.sock" || true
  kill "$redis"
  wait "$redis" || true
  rm -rf "$folder"
done
echo "== pipeline"
bench/pipeline.sh
