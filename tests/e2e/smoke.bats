#!/usr/bin/env bats
# A few rows first: shown, and the rest only when enough of them came back well.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

spoil() { # spoil N: the first N recorded texts lose their marker
  sed -i "1,$1s/ # / /" recorded.jsonl
}

@test "the first rows are shown, and a run that passed does not show them again" {
  make_recorded 100
  spoil 2
  write_config
  "$RETORT" label --config retort.yaml > label.out 2> label.err || { cat label.err; false; }
  grep -q "the first 20 rows: 18 labelled, 2 rejected" label.err || { cat label.err; false; }
  grep -q "rejected: no_marker" label.err
  grep -q " ← " label.err
  [ "$(json run/summary.json labelled)" -eq 98 ]
  grep -q '"passed": true' run/smoke.json
  "$RETORT" label --config retort.yaml > label.out 2> label.err
  no grep -q "the first 20 rows" label.err
}

@test "a teacher that fails stops the run before the rest is asked about" {
  make_recorded 200
  spoil 100
  write_config
  run "$RETORT" run --config retort.yaml
  [ "$status" -eq 3 ] || { echo "$output"; false; }
  [[ "$output" == *"the first 20 rows: 0 labelled, 20 rejected"* ]] || { echo "$output"; false; }
  [[ "$output" == *"label.smoke_rejected_share_max"* ]]
  [[ "$output" == *"no_marker"* ]]
  [ "$(wc -l < run/dataset/rejected.jsonl)" -eq 20 ]        # one shard, and no more
  "$RETORT" audit --config retort.yaml --json > audit.json
  [ "$(json audit.json pending)" -ge 170 ]

  # As it is, it stops again; told to, it goes on from there.
  run "$RETORT" label --config retort.yaml
  [ "$status" -eq 3 ]
  [ "$(wc -l < run/dataset/rejected.jsonl)" -eq 20 ]
  "$RETORT" label --config retort.yaml --set label.smoke_rejected_share_max=1 > label.out 2>&1 || { cat label.out; false; }
  "$RETORT" audit --config retort.yaml --json > audit.json
  [ "$(json audit.json pending)" -eq 0 ]
}

@test "requeued first rows are the smoke phase of the next start" {
  make_recorded 100
  cp recorded.jsonl good.jsonl
  spoil 50
  cp recorded.jsonl bad.jsonl
  cp good.jsonl corpus.jsonl
  write_config
  sed -i 's/^corpus: {files: \[recorded.jsonl\]/corpus: {files: [corpus.jsonl]/' retort.yaml
  run "$RETORT" label --config retort.yaml
  [ "$status" -eq 3 ] || { echo "$output"; false; }
  "$RETORT" rejections --config retort.yaml --requeue > requeue.out
  cp good.jsonl recorded.jsonl
  "$RETORT" label --config retort.yaml > label.out 2> label.err || { cat label.err; false; }
  grep -q "the first 20 rows: 20 labelled, 0 rejected" label.err || { cat label.err; false; }
  [ "$(json run/summary.json labelled)" -eq 100 ]
}

@test "the phase changes neither dataset nor student" {
  make_recorded 200
  write_config 12
  "$RETORT" run --config retort.yaml --json > /dev/null 2>&1 || { show_logs; false; }
  [ -s run/smoke.json ]
  "$RETORT" run --config retort.yaml --set run_dir=off --set label.smoke_rows=0 --json > /dev/null 2>&1
  [ ! -e off/smoke.json ]
  "$RETORT" run --config retort.yaml --set run_dir=long --set label.smoke_rows=70 --json > /dev/null 2>&1
  [ "$(json long/smoke.json rows)" -eq 80 ]
  for other in off long; do
    [ "$(json run/summary.json dataset_sha256)" = "$(json $other/summary.json dataset_sha256)" ]
    [ "$(json run/summary.json weights_sha256)" = "$(json $other/summary.json weights_sha256)" ]
  done
}
