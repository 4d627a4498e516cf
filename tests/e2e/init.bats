#!/usr/bin/env bats
# A new task: settings that load, worked examples, and what to do next.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

knows() { "$RETORT" config reference | grep '^| `teacher.backend`' | grep -q "$1"; }

@test "the settings of every kind of task and teacher load" {
  for task in class choice number text; do
    for teacher in recorded native openai; do
      knows "$teacher" || continue
      run "$RETORT" init "$task-$teacher" --task "$task" --teacher "$teacher"
      [ "$status" -eq 0 ] || { echo "$output"; false; }
      [[ "$output" == *"retort doctor"* ]]
      [[ "$output" == *"retort run --dry-run"* ]]
      "$RETORT" config validate --config "$task-$teacher/retort.yaml"
      if [ "$teacher" = recorded ]; then [ ! -e "$task-$teacher/exemplars.jsonl" ]
      else [ -s "$task-$teacher/exemplars.jsonl" ]; fi
    done
  done
}

@test "the current folder gives the name, options the corpus and the model" {
  mkdir "My Reviews"; cd "My Reviews"
  "$RETORT" init --corpus 'rows/*.csv' --model ../models/big --json > init.json
  "$RETORT" config print > all.yaml
  grep -q '^name: "\?myreviews' all.yaml || { cat all.yaml; false; }
  grep -q 'rows/\*.csv' all.yaml
  grep -q '../models/big' all.yaml
  [ "$(python3 -c 'import json; print(len(json.load(open("init.json"))["files"]))')" -eq 2 ]
}

@test "nothing is written over" {
  echo mine > retort.yaml
  run "$RETORT" init
  [ "$status" -eq 2 ]
  [[ "$output" == *"there already"* ]]
  [ "$(cat retort.yaml)" = mine ]
  [ ! -e exemplars.jsonl ]
  mkdir other; echo mine > other/exemplars.jsonl
  run "$RETORT" init other
  [ "$status" -eq 2 ]
  [ "$(cat other/exemplars.jsonl)" = mine ]
  [ ! -e other/retort.yaml ]
}

@test "a recorded task runs as it was written" {
  "$RETORT" init sums --task number --teacher recorded
  cd sums
  "$PROBLEMS" worked 120 7 |
    sed -E 's/^\{"id":"[0-9a-f]+","input":("[^"]*"),"label":"([^"]*)","rationale":"([^"]*)".*/{"input":\1,"teacher_raw":"\3 The answer is \2."}/' > answers.jsonl
  cp answers.jsonl corpus.jsonl
  "$RETORT" config check
  "$RETORT" label > label.out 2>&1 || { cat label.out; false; }
  [ "$(json runs/sums/summary.json labelled)" -eq 120 ] || { cat runs/sums/summary.json; false; }
}
