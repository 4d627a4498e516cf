#!/usr/bin/env bats
# Rows without a label: shown with their reason, and asked for again.

load helpers

setup() {
  make_folder
  make_recorded 60
  for i in 1 2 3; do
    printf '{"question":"What is missing in %d?","answer":"%d","text":"no marker \\u001b[31mhere"}\n' "$i" "$i" >> recorded.jsonl
  done
  printf '{"question":"Which number?","answer":"1","text":"It is # none of them"}\n' >> recorded.jsonl
  write_config
}
teardown() { drop_folder; }

@test "rejected rows are listed with reason, input and raw text" {
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  run "$RETORT" rejections --config retort.yaml
  [ "$status" -eq 0 ]
  [[ "$output" == *"4 of 64 rows were rejected"* ]] || { echo "$output"; false; }
  [[ "$output" == *"3 no_marker"* ]]
  [[ "$output" == *"What is missing in 2?"* ]]
  [[ "$output" == *"no marker"* ]]
  [[ "$output" != *$'\033'* ]]                             # a model's text does not colour the terminal
  run "$RETORT" rejections --config retort.yaml --reason no_marker --limit 2
  [[ "$output" == *"1 more"* ]] || { echo "$output"; false; }
  [ "$("$RETORT" rejections --config retort.yaml --json | wc -l)" -eq 4 ]
  "$RETORT" rejections --config retort.yaml --json --reason no_marker | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert len(rows) == 3 and all(r["reason"] == "no_marker" and "raw" in r and "input" in r for r in rows)'
  run "$RETORT" rejections --config retort.yaml --reason no_such
  [ "$status" -eq 0 ]
  [[ "$output" == *"no row was rejected for 'no_such'"* ]]
  [[ "$output" == *"3 no_marker"* ]]
}

@test "requeued rows are pending, then asked for again, and the books close throughout" {
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  "$RETORT" audit --config retort.yaml > /dev/null
  run "$RETORT" rejections --config retort.yaml --requeue --reason no_marker
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [[ "$output" == *"3 rows are pending again, 1 stay rejected"* ]] || { echo "$output"; false; }
  [ "$(wc -l < run/dataset/rejected.jsonl.requeued-1)" -eq 3 ]
  "$RETORT" audit --config retort.yaml --json > audit.json
  [ "$(json audit.json pending)" -eq 3 ]
  [ "$(json audit.json rejected)" -eq 1 ]

  # The teacher knows better now: the labels that were missing come, the others stay.
  sed -i 's/no marker \\u001b\[31mhere/Now it is. # 7/' recorded.jsonl
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  "$RETORT" audit --config retort.yaml --json > audit.json
  [ "$(json audit.json pending)" -eq 0 ]
  [ "$(json audit.json labelled)" -eq 63 ]
  [ "$(json audit.json rejected)" -eq 1 ]
  "$RETORT" label --config retort.yaml --set run_dir=fresh > label.out 2>&1
  [ "$(json run/summary.json dataset_sha256)" = "$(json fresh/summary.json dataset_sha256)" ]

  run "$RETORT" rejections --config retort.yaml --requeue --json
  [ "$status" -eq 0 ]
  [[ "$output" == *'"requeued":1'* ]] || { echo "$output"; false; }
  run "$RETORT" rejections --config retort.yaml --requeue
  [ "$status" -eq 0 ]
  [[ "$output" == *"nothing to requeue"* ]]
}

@test "requeueing is refused while a coordinator works, and once training has begun" {
  start_run --set train.steps=4000
  wait_until 60 at_least step 1
  run "$RETORT" rejections --config retort.yaml
  [ "$status" -eq 0 ]
  run "$RETORT" rejections --config retort.yaml --requeue
  [ "$status" -eq 2 ]
  [[ "$output" == *"has a coordinator already"* ]] || { echo "$output"; false; }
  kill -INT "$run_pid"
  wait_run || true
  cp run/dataset/rejected.jsonl before.jsonl
  run "$RETORT" rejections --config retort.yaml --requeue
  [ "$status" -eq 2 ]
  [[ "$output" == *"training has begun"* ]] || { echo "$output"; false; }
  cmp before.jsonl run/dataset/rejected.jsonl
  run "$RETORT" rejections --config retort.yaml --requeue --train-anew
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [ -s run/retired-1/plan.jsonl ]
  [ ! -e run/plan.jsonl ]
  [ ! -s run/dataset/rejected.jsonl ]
}

@test "a run that has not started has nothing to show" {
  run "$RETORT" rejections --config retort.yaml
  [ "$status" -eq 2 ]
  [[ "$output" == *"has this run started?"* ]]
}
