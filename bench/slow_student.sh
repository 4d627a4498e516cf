#!/usr/bin/env bash
# What a slow student costs in each mode: one of two is stopped for half a second in every 0.6 s.
#
#     bench/slow_student.sh [STEPS=300]
#
# One line of JSON for each mode: seconds of training, loss of the last validation, staleness.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${RT_BUILD_DIR:-$source_dir/build/release}
steps=${1:-300}
folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$build/arithmetic-problems" worked 600 7 > worked.jsonl
cat > retort.yaml <<YAML
name: slow
task: {name: arithmetic, answer: number, markers: ["#"]}
corpus: {files: [worked.jsonl], input: "{input}"}
teacher: {backend: recorded, files: [worked.jsonl], match: input, match_field: "{input}", text_field: "{rationale} # {label}"}
tokenizer: {kind: bpe, vocab_size: 200, byte_fallback: false}
student: {d_model: 64, n_layers: 2, n_heads: 2, d_ff: 128, seq_len_max: 192}
train: {preset: rationale-first, steps: $steps, micro_batches: 6, micro_batch_tokens: 400, records_per_step: 24, lr: 0.003, warmup_steps: 5, eval_every: 100}
launch: {students: 2}
YAML
student_pid() {
  [ -s "$1/launcher.json" ] || return 0
  tr -d ' \n' < "$1/launcher.json" | sed -nE 's/.*"name":"student-1","pid":([0-9]+).*/\1/p'
}
run_slowed() { # run_slowed FOLDER ARGS...
  local dir=$1 run slow=; shift
  "$build/retort" run --config retort.yaml --set "run_dir=$dir" "$@" --json > /dev/null 2> "$dir.err" &
  run=$!
  while kill -0 "$run" 2> /dev/null; do
    slow=$(student_pid "$dir") || true
    [ -z "$slow" ] || kill -STOP "$slow" 2> /dev/null || true
    sleep 0.5
    [ -z "$slow" ] || kill -CONT "$slow" 2> /dev/null || true
    sleep 0.1
  done
  wait "$run" || { cat "$dir.err" >&2; exit 1; }
}
for mode in "sync 1 0" "sync 1 4" "ssp 4 0" "async 4 0"; do
  read -r name staleness backup <<< "$mode"
  run_slowed "$name-$backup" --set "train.mode=$name" --set "train.staleness_max=$staleness" --set "train.backup_after=$backup"
  python3 - "$name-$backup/summary.json" "$backup" <<'PY'
import json, sys
s = json.load(open(sys.argv[1]))
print(json.dumps({"mode": s["mode"], "backup_after": float(sys.argv[2]), "train_s": s["seconds"]["train"],
                  "valid_loss": s["valid"][-1]["loss"], "staleness": s["staleness"], "backups": s["backups"]}))
PY
done
