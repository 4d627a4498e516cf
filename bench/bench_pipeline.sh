#!/usr/bin/env bash
# The whole way on this machine: recorded answers in, dataset and student out.
#
#     bench/bench_pipeline.sh [N_ROWS=20000]
#
# One line of JSON: rows labelled a second with one and with two teachers, training tokens a second, and the shares of a
# student's time. Everything is made here; Redis, coordinator, shards, teachers and student are the real processes.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retort=${RT_BUILD_DIR:-$source_dir/build/release}/retort
n_rows=${1:-20000}
folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - "$n_rows" > rows.jsonl <<'PY'
import json, sys
for i in range(int(sys.argv[1])):
    a, b = i % 97 + 2, i // 97 % 89 + 2
    print(json.dumps({"question": f"A box holds {a} shells and a bag holds {b}; row {i} asks how many there are.",
                      "text": f"{a}+{b}={a + b}. The answer is {a + b}"}))
PY
cat > retort.yaml <<'YAML'
name: pipeline
task: {name: sums, answer: number, markers: ["The answer is"]}
corpus: {files: [rows.jsonl], input: "{question}"}
teacher: {backend: recorded, files: [rows.jsonl], match_field: "{question}", text_field: "{text}"}
student: {d_model: 128, n_layers: 4, n_heads: 4, n_kv_heads: 4, d_ff: 384}
train: {steps: 100}
YAML
label_seconds() {
  local start end
  start=$(date +%s.%N)
  "$retort" label --config retort.yaml --set "run_dir=label$1" --set "launch.teachers=$1" --json > /dev/null 2> "label$1.err" ||
    { cat "label$1.err" >&2; exit 1; }
  end=$(date +%s.%N)
  echo "$end $start" | awk '{print $1 - $2}'
}
one=$(label_seconds 1)
two=$(label_seconds 2)
start=$(date +%s.%N)
"$retort" train --config retort.yaml --set run_dir=trained --dataset label1/dataset --json > /dev/null 2> train.err ||
  { cat train.err >&2; exit 1; }
end=$(date +%s.%N)
python3 - "$n_rows" "$one" "$two" "$start" "$end" <<'PY'
import json, sys
n, one, two, start, end = map(float, sys.argv[1:])
summary = json.load(open("trained/summary.json"))
print(json.dumps({"bench": "pipeline", "rows": int(n), "rows_s_one_teacher": round(n / one), "rows_s_two_teachers": round(n / two),
                  "two_to_one": round(one / two, 2), "train_steps_s": round(100 / (end - start), 2),
                  "student_time": summary.get("student_time")}))
PY
