#!/usr/bin/env bash
# What being watched costs: training with stats over HTTP, one reader of /api/stream and one /metrics a second, against
# the same with `net.http: off`. Runs of both kinds take turns, so that a change of the machine falls on both.
#
#     bench/bench_stats.sh [PAIRS=5] [STEPS=40]
#
# One line of JSON: seconds of training of each run, and by how much the watched ones took longer, as the median over pairs.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
retort=${RT_BUILD_DIR:-$source_dir/build/release}/retort
pairs=${1:-5} steps=${2:-40}
folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-bench.XXXXXX")
run=
trap '[ -z "$run" ] || kill -TERM "$run" 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
python3 - > rows.jsonl <<'PY'
import json
for i in range(2000):
    a, b = i % 97 + 2, i // 97 % 89 + 2
    print(json.dumps({"question": f"A box holds {a} shells and a bag holds {b}; row {i} asks how many there are.",
                      "text": f"{a}+{b}={a + b}. The answer is {a + b}"}))
PY
cat > retort.yaml <<YAML
name: watched
task: {name: sums, answer: number, markers: ["The answer is"]}
corpus: {files: [rows.jsonl], input: "{question}"}
teacher: {backend: recorded, files: [rows.jsonl], match_field: "{question}", text_field: "{text}"}
student: {d_model: 128, n_layers: 4, n_heads: 4, n_kv_heads: 4, d_ff: 384}
train: {steps: $steps}
YAML
"$retort" label --config retort.yaml --set run_dir=labelled --json > /dev/null 2> label.err || { cat label.err >&2; exit 1; }

# Reads the stream and asks for /metrics once a second until the process RUN ends; says how often it was answered.
watch() { # watch RUN RUN_DIR OUT
  python3 - "$@" <<'PY'
import json, os, sys, threading, time, urllib.request
run, folder, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
n = {"events": 0, "scrapes": 0}
def is_running():
    try:
        os.kill(run, 0)
        return True
    except ProcessLookupError:
        return False
def address():
    while is_running():
        try:
            return "http://" + json.load(open(folder + "/coordinator.json"))["http"]
        except (OSError, KeyError, ValueError):
            time.sleep(0.05)
    sys.exit()
def read_stream(url):
    try:
        with urllib.request.urlopen(url + "/api/stream") as stream:
            for line in stream:
                n["events"] += line.startswith(b"event: ")
    except OSError:
        pass
url = address()
threading.Thread(target=read_stream, args=(url,), daemon=True).start()
while is_running():
    try:
        urllib.request.urlopen(url + "/metrics", timeout=5).read()
        n["scrapes"] += 1
    except OSError:
        pass
    time.sleep(1)
json.dump(n, open(out, "w"))
PY
}
train() { # train RUN_DIR ARGS...
  local dir=$1 watcher; shift
  "$retort" train --config retort.yaml --set "run_dir=$dir" "$@" --dataset labelled/dataset --json > /dev/null 2> "$dir.err" &
  run=$!
  if [[ $dir == watched* ]]; then watch "$run" "$dir" "$dir.json" & watcher=$!; fi
  wait "$run" || { cat "$dir.err" >&2; exit 1; }
  run=
  [[ $dir != watched* ]] || wait "$watcher"
}
for ((i = 0; i < pairs; i++)); do
  if ((i % 2 == 0)); then train "watched$i"; train "off$i" --set net.http=off
  else train "off$i" --set net.http=off; train "watched$i"; fi
done
python3 - "$pairs" "$steps" <<'PY'
import json, statistics, sys
n, steps = map(int, sys.argv[1:])
def seconds(kind): return [json.load(open(f"{kind}{i}/summary.json"))["seconds"]["train"] for i in range(n)]
watched, off = seconds("watched"), seconds("off")
asked = [json.load(open(f"watched{i}.json")) for i in range(n)]
assert all(a["events"] > 0 and a["scrapes"] > 0 for a in asked), asked
print(json.dumps({"bench": "stats", "steps": steps, "watched_s": watched, "off_s": off, "events": sum(a["events"] for a in asked),
                  "scrapes": sum(a["scrapes"] for a in asked),
                  "slower_percent": round(100 * (statistics.median(w / o for w, o in zip(watched, off)) - 1), 2)}))
PY
