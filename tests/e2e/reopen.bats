#!/usr/bin/env bats
# What a budget left out is labelled later, and no student changes in its middle.

load helpers
load paid_teacher

setup() { make_paid_run; }

teardown() {
  stop_teacher
  drop_folder
}

@test "a student that was trained keeps its dataset; --train-anew labels the rest and trains another" {
  run_all --set limits.budget=0.002
  [ "$code" -eq 6 ] || { cat run.err; show_logs; false; }
  grep -q -- "--train-anew" run.err
  n=$(get run/summary.json 'r["labelled"]')
  [ "$n" -gt 30 ] && [ "$n" -lt 60 ]
  weights=$(get run/summary.json 'r["weights_sha256"]')
  # More money alone changes nothing.
  run_all
  [ "$code" -eq 6 ] || { cat run.err; show_logs; false; }
  [ "$(get run/summary.json 'r["labelled"]')" -eq "$n" ]
  [ "$(get run/summary.json 'r["weights_sha256"]')" = "$weights" ]
  run_all --train-anew
  [ "$code" -eq 0 ] || { cat run.err; show_logs; false; }
  [ "$(get run/summary.json 'r["labelled"]')" -eq 60 ]
  [ "$(spent run/spend.json)" -eq 60 ] # no row was paid twice
  [ "$(sha256sum < run/retired-1/student/model.safetensors | cut -d' ' -f1)" = "$weights" ]
  "$RETORT" audit --config retort.yaml > /dev/null
  # The student of a run that had the money from the start.
  run_all --set run_dir=whole
  [ "$code" -eq 0 ] || { cat run.err; false; }
  for key in dataset_sha256 weights_sha256; do
    [ "$(get run/summary.json "r['$key']")" = "$(get whole/summary.json "r['$key']")" ]
  done
  [ "$(get run/summary.json 'r["weights_sha256"]')" != "$weights" ]
  stop_teacher
  [ "$(requests)" -eq 60 ]
}

@test "rows that no plan has read are labelled with more money, and the student stays" {
  run_all --set train.steps=2 --set train.warmup_steps=1 --set limits.budget=0.002
  [ "$code" -eq 6 ] || { cat run.err; show_logs; false; }
  [ "$(get run/summary.json 'r["labelled"]')" -lt 60 ]
  grep -q "the same command with a larger budget" run.err
  weights=$(get run/summary.json 'r["weights_sha256"]')
  run_all --set train.steps=2 --set train.warmup_steps=1
  [ "$code" -eq 0 ] || { cat run.err; show_logs; false; }
  [ "$(get run/summary.json 'r["labelled"]')" -eq 60 ]
  [ "$(get run/summary.json 'r["weights_sha256"]')" = "$weights" ]
  [ ! -e run/retired-1 ]
}
