#!/usr/bin/env bash
# Memory and speed of a teacher worker over a long run: the whole of it (leases, prompts, HTTP, parsing, cache, limits,
# LABELS) against a server on this machine that answers at once.
#
#     bench/teacher_memory.sh [N_ROWS=100000] [N_EARLY=10000]
#
# Prints one line of JSON: the worker's resident memory when N_EARLY rows were archived and just before the end, and the
# requests a second over the run. A worker that keeps something of each row shows in the difference.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${RT_BUILD_DIR:-$source_dir/build/release}
n_rows=${1:-100000} n_early=${2:-10000}
folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
server= run=
end() {
  [ -z "$run" ] || { kill -TERM "$run" 2>/dev/null || true; wait "$run" 2>/dev/null || true; }
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  cd / && rm -rf "$folder"
}
trap end EXIT
cd "$folder"

seq 1 "$n_rows" | sed -E 's/.*/{"q":"A crate holds & shells. Nina takes 3 of them out. How many shells are left in it?"}/' > corpus.jsonl
: > none.jsonl
"$build/limited-teacher" none.jsonl 0 'text=Three are taken out of them, so there are three fewer left. The answer is 24' > server.out &
server=$!
until [ -s server.out ]; do sleep 0.1; done
cat > run.yaml <<YAML
name: memory
run_dir: run
task: {name: shells, answer: number, markers: ["The answer is"]}
corpus: {files: [corpus.jsonl], input: "{q}"}
prompt: {instruction: "Give a short reason, then 'The answer is ...'."}
teacher: {backend: openai, base_url: "$(head -n 1 server.out)/v1", model: m, in_flight_max: 64}
label: {shard_size: 1000, smoke_rows: 0}
launch: {teachers: 1}
YAML

rows() { [ ! -f run/dataset/labels.jsonl ] && echo 0 || wc -l < run/dataset/labels.jsonl; }
resident_kib() { awk '/^VmRSS/ {print $2}' "/proc/$1/status" 2>/dev/null || true; }
teacher_pid() { [ ! -f run/launcher.json ] || tr -d ' \n' < run/launcher.json | sed -nE 's/.*"name":"teacher-0","pid":([0-9]+).*/\1/p'; }

"$build/retort" label --config run.yaml > run.out 2> run.err &
run=$!
begin=$(date +%s.%N) early= late= n_early_seen=0 n_late=0
while kill -0 "$run" 2>/dev/null; do
  n=$(rows) pid=$(teacher_pid || true)
  kib=$([ -z "$pid" ] || resident_kib "$pid")
  if [ -n "$kib" ] && [ "$n" -gt 0 ]; then
    if [ -z "$early" ] && [ "$n" -ge "$n_early" ]; then early=$kib n_early_seen=$n; fi
    late=$kib n_late=$n
  fi
  sleep 0.05
done
wait "$run" || { cat run.err >&2; exit 1; }
run=
end_s=$(date +%s.%N)
awk -v rows="$(rows)" -v s="$(echo "$end_s - $begin" | bc)" -v e="${early:-0}" -v ne="$n_early_seen" -v l="${late:-0}" -v nl="$n_late" \
  'BEGIN {printf "{\"bench\":\"teacher_memory\",\"rows\":%d,\"seconds\":%.1f,\"rows_per_s\":%.0f,\"kib_early\":%d,\"rows_early\":%d,\"kib_late\":%d,\"rows_late\":%d}\n", rows, s, rows / s, e, ne, l, nl}'
