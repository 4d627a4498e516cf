#!/usr/bin/env bats
# Whole runs that multiply bfloat16, with the products of the processor or without. Units of them:
# tests/unit/nn/test_compute.c and tests/unit/worker/student/test_compute.c.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

train_one() { # train_one FOLDER [--set ...]
  local folder=$1
  shift
  "$RETORT" run --config retort.yaml --set "run_dir=$folder" "$@" --json > "$folder.json" 2> "$folder.err" ||
    { cat "$folder.err" >&2; show_logs; return 1; }
}

@test "two students give the student of one, and another than float32" {
  make_recorded 240
  write_config 60
  train_one one --set train.compute=bf16
  [ "$(json one/summary.json compute_mode)" = bf16 ]
  train_one two --set train.compute=bf16 --set launch.students=2
  train_one f32
  [ "$(json one/summary.json weights_sha256)" = "$(json two/summary.json weights_sha256)" ]
  [ "$(json one/summary.json weights_sha256)" != "$(json f32/summary.json weights_sha256)" ]
  train_one auto --set train.compute=auto
  mode=$(json auto/summary.json compute_mode)
  [ "$mode" = bf16 ] || mode=f32
  [ "$(json auto/summary.json weights_sha256)" = "$(json "$([ "$mode" = bf16 ] && echo one || echo f32)/summary.json" weights_sha256)" ]
}
