#!/usr/bin/env bats
# The quick start's own teacher: it reasons, and a teacher that dies changes nothing.

load helpers

setup() {
  make_folder
  "$PROBLEMS" corpus 400 > corpus.jsonl
  write_config 20
  sed -i -e 's|^corpus:.*|corpus: {files: [corpus.jsonl], input: "{question}"}|' \
         -e "s|^teacher:.*|teacher: {backend: native, model: $SOURCE/examples/arithmetic/teacher, max_new_tokens: 80}|" \
         -e 's|^task:.*|task: {name: arithmetic, answer: number, markers: ["#"]}|' \
         -e 's|chunk_size: 100|chunk_size: 50|' retort.yaml
  cat >> retort.yaml <<'YAML'
prompt: {template: "solve: {input}\n"}
YAML
}
teardown() { drop_folder; }

@test "the teacher is right on at least 97 percent of unseen problems" {
  "$PROBLEMS" test 300 > unseen.jsonl
  run "$RETORT" eval --config retort.yaml --model "$SOURCE/examples/arithmetic/teacher" \
      --gold unseen.jsonl --set eval.answer_with=rationale-first --set eval.max_new_tokens=80 --json
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  echo "$output" > eval.json
  share=$(tr -d ' \n' < eval.json | sed -nE 's/.*"student_accuracy":\{[^}]*"share":([0-9.]+).*/\1/p')
  awk -v a="$share" 'BEGIN {exit !(a >= 0.97)}' || { cat eval.json; false; }
}

@test "predict --beams repeats itself and finds texts that are no less likely" {
  "$PROBLEMS" test 8 | sed -E 's/.*"question": ?"([^"]*)".*/\1/' > inputs.txt
  ask() { "$RETORT" predict --config retort.yaml --model "$SOURCE/examples/arithmetic/teacher" --set eval.length_penalty=0 "$@" < inputs.txt; }
  sums() { sed -E 's/.*"logprob":([-0-9.e]+).*/\1/' "$1"; }
  ask > greedy.jsonl
  ask --beams 4 > beams.jsonl
  ask --set eval.beams=4 | cmp - beams.jsonl
  [ "$(wc -l < beams.jsonl)" = 8 ]
  paste <(sums greedy.jsonl) <(sums beams.jsonl) |
    awk '$2 < $1 - 1e-4 {print; bad = 1} {n++} END {exit bad || n != 8}'
  run ask --beams 65
  [ "$status" -ne 0 ]
  [[ "$output" == *"--beams"*"64"* ]]
}

@test "predict --dtype bf16 answers as well, and a row alone as among others" {
  "$PROBLEMS" test 100 | sed -E 's/.*"question": ?"([^"]*)".*/\1/' > inputs.txt
  ask() { "$RETORT" predict --model "$SOURCE/examples/arithmetic/teacher" "$@"; }
  raws() { sed -E 's/.*"raw":"([^"]*)".*/\1/' "$1"; }
  ask < inputs.txt > f32.jsonl
  ask --dtype f32 < inputs.txt | cmp - f32.jsonl
  ask --dtype bf16 < inputs.txt > bf16.jsonl
  ! cmp -s f32.jsonl bf16.jsonl || { echo "nothing was rounded"; false; }
  same=$(paste -d '\n' <(raws f32.jsonl) <(raws bf16.jsonl) | awk 'NR % 2 {one = $0; next} one == $0 {n++} END {print n}')
  [ "$same" -ge 90 ] || { echo "$same of 100 texts are the same"; false; }
  ask --dtype bf16 --batch 7 --threads 2 < inputs.txt > other.jsonl
  cmp <(raws bf16.jsonl) <(raws other.jsonl)
  run ask --dtype f16 < inputs.txt
  [ "$status" -eq 2 ]
  [[ "$output" == *"--dtype"*"'f16'"*"f32 or bf16"* ]]
}

@test "teacher.dtype bf16 labels the same rows again with the same texts" {
  label() { head -n 60 corpus.jsonl > few.jsonl; "$RETORT" label --config retort.yaml --set 'corpus.files=[few.jsonl]' --set teacher.dtype=bf16 --set "run_dir=$1" > /dev/null; }
  texts() { python3 -c 'import json, sys; [print(r["id"], r["label"], r["rationale"]) for r in map(json.loads, open(sys.argv[1]))]' "$1/dataset/labels.jsonl" | sort; }
  label one
  label two
  [ "$(wc -l < one/dataset/labels.jsonl)" -ge 55 ]
  cmp <(texts one) <(texts two)
}

@test "label keeps the likely tokens of each place in the record" {
  # the bytes of a record: version 1, the tokens of the text, as many places
  label() { head -n 20 corpus.jsonl > few.jsonl; "$RETORT" label --config retort.yaml --set 'corpus.files=[few.jsonl]' --set teacher.top_logprobs=5 --set "run_dir=$1" > /dev/null; }
  label one
  [ "$(grep -c '"topk":"' one/dataset/labels.jsonl)" = "$(wc -l < one/dataset/labels.jsonl)" ]
  first=$(head -n 1 one/dataset/labels.jsonl)
  echo "$first" | sed -E 's/.*"topk":"([^"]*)".*/\1/' | base64 -d > topk.bin
  [ "$(od -An -tu1 -N1 topk.bin | tr -d ' ')" = 1 ]
  [ "$(od -An -tu4 -j1 -N4 topk.bin)" = "$(od -An -tu4 -j5 -N4 topk.bin)" ]
  echo "$first" | grep -qF "\"completion\":$(od -An -tu4 -j1 -N4 topk.bin | tr -d ' ')"
  "$RETORT" audit --config retort.yaml --set 'corpus.files=[few.jsonl]' --set teacher.top_logprobs=5 --set run_dir=one |
    grep -q "top tokens  *$(wc -l < one/dataset/labels.jsonl) "
  label two
  topks() { sed -E 's/.*"topk":"([^"]*)".*/\1/' "$1/dataset/labels.jsonl" | sort; }
  cmp <(topks one) <(topks two)
}

@test "threads that share a product spin briefly, unless the user says how they wait" {
  ask() { echo "1 + 1" | env OMP_DISPLAY_ENV=verbose "$@" "$RETORT" predict --model "$SOURCE/examples/arithmetic/teacher" 2>&1 > /dev/null; }
  [ "$(ask A=1 | grep GOMP_SPINCOUNT | tail -n 1)" = "  GOMP_SPINCOUNT = '1000'" ]
  [ "$(ask GOMP_SPINCOUNT=7 | grep GOMP_SPINCOUNT)" = "  GOMP_SPINCOUNT = '7'" ]
  [ "$(ask OMP_WAIT_POLICY=passive | grep -c OMP_WAIT_POLICY)" = 1 ]
}

@test "teachers killed with -9 leave the same dataset and student" {
  "$RETORT" run --config retort.yaml --set run_dir=base --json > /dev/null 2> base.err ||
    { cat base.err; tail -n 5 base/logs/*.log; false; }
  start_run --set launch.teachers=2
  wait_until 60 at_least labelled 20
  kill -KILL "$(pid_of teacher-0)"
  wait_until 60 at_least labelled 60
  kill -KILL "$(pid_of teacher-1)"
  wait_run || { cat run.err; show_logs; false; }
  for key in dataset_sha256 weights_sha256; do
    [ "$(json run/summary.json $key)" = "$(json base/summary.json $key)" ]
  done
  "$RETORT" audit --config retort.yaml > /dev/null
}
