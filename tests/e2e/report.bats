#!/usr/bin/env bats
# The report of a run, the cards beside it, and its dataset in the forms of other trainers.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

make_corpus() {
  make_recorded "$1"
  echo '{"question": "broken' >> recorded.jsonl            # a malformed row
  head -n 1 recorded.jsonl >> recorded.jsonl               # a duplicate
  printf '{"question":"何が<script>alert(1)</script>足りない?","answer":"1","text":"しるし & <b>nothing</b>"}\n' >> recorded.jsonl
  printf '{"question":"What is three and four?","answer":"7","text":"3 + 4 = 8. # 8"}\n' >> recorded.jsonl
  write_config 20
  sed -i 's/^corpus: {/corpus: {bad_share_max: 0.05, /' retort.yaml
}

judge() { python3 "$SOURCE/tests/e2e/judge_report.py" "$@"; }

@test "a run ends with a report whose figures are those of its files, and with two cards" {
  make_corpus 120
  "$RETORT" run --config retort.yaml > run.out 2> run.err || { show_logs; false; }
  grep -q 'report.html' run.out
  "$RETORT" report --run run --json > data.json
  judge page run/report.html
  judge data data.json run
  judge dataset-card run/dataset
  judge model-card run/student/README.md run/summary.json
  grep -q '何が&lt;script&gt;alert(1)&lt;/script&gt;足りない' run/report.html
  grep -q '✓ it adds up' run/report.html
  [ "$(grep -c '<svg' run/report.html)" -ge 1 ]
  no grep -q 'is not finished' run/report.html

  # A card that somebody wrote is not replaced; the scores go in once.
  echo "my own card" > run/dataset/README.md
  cp run/student/README.md card.before
  "$RETORT" report --run run --output elsewhere.html
  [ -s elsewhere.html ]
  "$RETORT" report --config retort.yaml > /dev/null
  [ "$(cat run/dataset/README.md)" = "my own card" ]
  cmp card.before run/student/README.md
  # Another student in that place: the scores are not its scores.
  "$RETORT" export --run run --version 10 > /dev/null
  "$RETORT" report --run run > /dev/null
  no grep -q 'accuracy' run/student/README.md
}

@test "a run with labels only, one without its files, and what is no run" {
  make_corpus 60
  sed -i 's/, gold: "{answer}"}/}/' retort.yaml
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  judge page run/report.html
  grep -q 'complete, labels only' run/report.html
  grep -q 'no student was trained' run/report.html
  grep -q 'has no true answers' run/report.html

  rm run/result.json run/summary.json run/config.yaml
  printf 'no metrics\n{"kind":"step","step":1,"loss":2,"check":"0000000000000000"}\n' > run/metrics.jsonl
  echo 'broken' > run/eval.json
  "$RETORT" report --run run > /dev/null
  judge page run/report.html
  for text in 'is not finished' 'settings of the run are not known' 'eval.json cannot be read' \
              '2 lines that are not as they were written' 'There is no summary.json'; do
    grep -q "$text" run/report.html || { echo "not said: $text"; false; }
  done
  echo '{"broken' >> run/dataset/labels.jsonl
  sed -i '1s/.*/broken/' run/dataset/labels.jsonl
  "$RETORT" report --run run > /dev/null
  grep -q 'The dataset cannot be read' run/report.html

  run "$RETORT" report --run no-such-run
  [ "$status" -eq 2 ]
  mkdir empty
  run "$RETORT" report --run empty --json
  [ "$status" -eq 2 ]
  [[ "$output" == *"found no file of a run"* ]]
}

@test "training alone has a report of the dataset that it was given, and leaves its folder alone" {
  make_corpus 60
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  rm run/dataset/README.md
  mv run/dataset given
  "$RETORT" train --dataset given --config retort.yaml --set run_dir=trained > train.out 2>&1 || { cat train.out; false; }
  judge page trained/report.html
  grep -q 'complete, training only' trained/report.html
  [ ! -e given/README.md ]
  "$RETORT" report --run trained --dataset given --json > data.json
  judge data data.json trained given
}

@test "the dataset as rows of other trainers, and pairs only of what the teacher wrote" {
  row() { printf '{"question":"%s","answer":"12","text":"%s"}\n' "$1" "$2" >> texts.jsonl; }
  for q in sure split wrong none; do printf '{"question":"%s","answer":"12"}\n' "$q"; done > corpus.jsonl
  row sure "Six and six. # 12"; row sure "Ten and two. # 12"; row sure "A dozen. # 12"
  row split "Three times four. # 12"; row split "Thirteen. # 13"; row split "Four and eight. # 12"
  row wrong "Eleven. # 11"; row wrong "Eleven again. # 11"; row wrong "Twelve. # 12"
  row none "I do not know."; row none "Nobody knows."; row none "Who knows?"
  cat > retort.yaml <<'YAML'
name: rows
run_dir: run
task: {name: count, answer: number, markers: ["#"]}
corpus: {files: [corpus.jsonl], input: "{question}", gold: "{answer}"}
teacher: {backend: recorded, files: [texts.jsonl], match_field: "{question}", text_field: "{text}"}
quality: {samples: 3, keep_others: true}
launch: {teachers: 1}
YAML
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  judge dataset-card run/dataset
  # What was rejected is asked again, and answered this time.
  sed -i 's/I do not know\./Twelve of them. # 12/' texts.jsonl
  "$RETORT" rejections --requeue --config retort.yaml > /dev/null
  "$RETORT" label --config retort.yaml --set quality.keep_others=false > label.out 2>&1 || { cat label.out; false; }
  for format in prompt-completion messages preference; do
    "$RETORT" export --run run --dataset $format --json > $format.out
    judge rows $format run/$format.jsonl run/dataset
  done
  grep -q '"rows": 2, .*"from_others": 1, "from_rejected_before": 1, "known_wrong": 1' preference.out
  "$RETORT" export --run run --dataset prompt-completion --label-only --output short.jsonl > /dev/null
  grep -q '"prompt":"sure\\n","completion":"12"' short.jsonl
  run "$RETORT" export --run run --dataset chat
  [ "$status" -eq 2 ]
  [[ "$output" == *"found 'chat', expected prompt-completion, messages or preference"* ]]
  run "$RETORT" export --run run --dataset messages --dtype bf16
  [ "$status" -eq 2 ]
}
