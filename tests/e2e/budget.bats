#!/usr/bin/env bats
# The budget covers every request that is paid: of teachers in a run, and of commands that ask by
# themselves.

load helpers
load paid_teacher

setup() { make_paid_run; }

teardown() {
  stop_teacher
  drop_folder
}

ask() { # ask ARGS...: score the teacher on the 40 rows of eval.files; $code is the exit code
  code=0
  mkdir -p run/dataset; touch run/dataset/labels.jsonl
  "$RETORT" eval --config retort.yaml --teacher --ask-teacher --json "$@" > eval.json 2> eval.err || code=$?
}

@test "asking the teacher about held-out rows stops at the budget, and goes on where it stopped" {
  ask --set limits.budget=0.0009
  [ "$code" -eq 6 ] || { cat eval.err; false; }
  grep -q "limits.budget is spent" eval.err
  n=$(get eval.json 'r["teacher_accuracy"]["of"]')
  [ "$n" -gt 0 ] && [ "$n" -lt 23 ]
  [ "$(get eval.json 'r["teacher_left_out"]')" -eq $((40 - n)) ]
  [ "$(get eval.json 'r["teacher_accuracy"]["right"]')" -eq "$n" ] # nobody is wrong for want of money
  [ "$(spent run/spend.json)" -eq "$n" ]
  [ "$(get run/spend.json 'r["stopped"]')" = "" ]
  ask # more money: only the rest is paid
  [ "$code" -eq 0 ] || { cat eval.err; false; }
  [ "$(get eval.json 'r["teacher_accuracy"]["of"]')" -eq 40 ]
  [ "$(get eval.json 'r["teacher_left_out"]')" -eq 0 ]
  [ "$(spent run/spend.json)" -eq 40 ]
  stop_teacher
  [ "$(requests)" -eq 40 ]
}

@test "a run and its evaluation spend from one budget" {
  # Enough for the 60 rows, not for 40 more: those are other rows.
  make_recorded 100
  head -n 60 recorded.jsonl > corpus.jsonl
  tail -n 40 recorded.jsonl > held_out.jsonl
  stop_teacher
  start_teacher
  sed -i -e 's|^corpus:.*|corpus: {files: [corpus.jsonl], input: "{question}", gold: "{answer}"}|' \
         -e 's|files: \[recorded.jsonl\], input|files: [held_out.jsonl], input|' retort.yaml
  code=0
  "$RETORT" run --config retort.yaml --set eval.teacher=true --set limits.budget=0.0034 > run.out 2> run.err || code=$?
  [ "$code" -eq 6 ] || { cat run.err; show_logs; false; }
  grep -q "the teacher was not asked about .* rows of eval.files" run.err
  [ "$(get run/summary.json 'r["labelled"]')" -eq 60 ]
  [ "$(get run/summary.json 'r["left_out"]')" -eq 0 ]
  left=$(get run/summary.json 'r["teacher_left_out"]')
  [ "$left" -gt 0 ] && [ "$left" -lt 40 ]
  [ "$(get run/summary.json 'r["teacher_accuracy_rows"]')" -eq $((40 - left)) ]
  [ "$(spent run/spend.json)" -eq $((100 - left)) ]
  [ "$(get run/summary.json 'r["cost"]["spent"] <= 0.0034')" = True ]
  "$RETORT" run --config retort.yaml --set eval.teacher=true > run.out 2> run.err || { cat run.err; show_logs; false; }
  [ "$(get run/summary.json 'r["teacher_left_out"]')" -eq 0 ]
  [ "$(spent run/spend.json)" -eq 100 ]
}

@test "while a coordinator has the run, its budget is not spent beside it" {
  mkdir -p run
  flock run/coordinator.lock "$RETORT" eval --config retort.yaml --teacher --ask-teacher 2> eval.err && false
  grep -q "is counted in the run, which is under way" eval.err
  stop_teacher
  [ "$(requests)" -eq 0 ]
}
