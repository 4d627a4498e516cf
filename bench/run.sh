#!/usr/bin/env bash
# Every benchmark with its usual arguments. Ratios are against a baseline of the same run.
#
#     bench/run.sh [arguments of compare.py]      # --json: JSON lines alone on stdout
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# bench_queue needs a Redis of its own.
run_with_redis() {
  local folder redis
  folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
  redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no --dir "$folder" > /dev/null &
  redis=$!
  until [ -S "$folder/redis.sock" ]; do sleep 0.1; done
  "$1" "url=unix:$folder/redis.sock" || true
  kill "$redis"
  wait "$redis" || true
  rm -rf "$folder"
}

bench/compare.py "$@"
for program in build/release/bench/bench_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  case ${program##*/} in bench_train|bench_decode|bench_packing) continue ;; esac # compare.py has run them
  echo "== ${program##*/}" >&2
  if [ "${program##*/}" = bench_queue ]; then run_with_redis "$program"; else "$program"; fi
done
echo "== bench_pipeline" >&2
bench/bench_pipeline.sh
