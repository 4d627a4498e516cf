#!/usr/bin/env bats
# A teacher over HTTP, as a user meets it: a server that fails often, a key, the answer cache.

load helpers

setup() { make_folder; make_recorded 120; write_openai_config; }

teardown() {
  stop_teacher
  drop_folder
}

write_openai_config() {
  write_config 10
  sed -i '/^teacher:/d' retort.yaml
  cat >> retort.yaml <<'YAML'
prompt: {instruction: "Answer with a reason."}
teacher:
  backend: openai
  base_url: "${BASE_URL}"
  model: teacher-1
  timeout_ms: 500
  retries_max: 20
YAML
}

label() { "$RETORT" label --config retort.yaml "$@" > label.out 2> label.err 3>&-; }

labelled() { wc -l < run/dataset/labels.jsonl; }

@test "a server that fails three in ten: every row is labelled once, and the audit closes" {
  start_teacher 0.3
  label || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
  [ ! -s run/dataset/rejected.jsonl ]
  "$RETORT" audit --config retort.yaml
  stop_teacher
  [ "$(requests)" -gt 120 ]
}

@test "a second run over the same rows asks for nothing" {
  start_teacher 0
  label || { cat label.err; show_logs; false; }
  label --set run_dir=again --set name=again || { cat label.err; false; }
  [ "$(wc -l < again/dataset/labels.jsonl)" -eq 120 ]
  stop_teacher
  [ "$(requests)" -eq 120 ]
}

@test "a wrong key ends the run at once, says so, and is shown nowhere" {
  start_teacher 0 right-key
  export TEACHER_KEY=wrong-secret
  code=0
  label --set 'teacher.api_key=${TEACHER_KEY}' || code=$?
  [ "$code" -eq 2 ]
  grep -q "teacher.api_key: the server refuses it" label.err run/logs/*.log
  ! grep -rq wrong-secret run label.out label.err
  export TEACHER_KEY=right-key
  label --set 'teacher.api_key=${TEACHER_KEY}' || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
  ! grep -rq right-key run label.out label.err
}

@test "a prompt beyond the limit is rejected with its reason, never sent and never cut" {
  long=$(printf 'word %.0s' $(seq 400))
  printf '{"question":"%s?","answer":"1","text":"So # 1"}\n' "$long" >> recorded.jsonl
  start_teacher 0
  "$RETORT" label --config retort.yaml --set prompt.max_prompt_tokens=300 --dry-run --json > dry.json
  grep -q '"too_long": 1' dry.json || { cat dry.json; false; }
  label --set prompt.max_prompt_tokens=300 || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
  run "$RETORT" rejections --config retort.yaml
  [[ "$output" == *"1 prompt_too_long"* ]] || { echo "$output"; false; }
  ! grep -q "word word" requests.jsonl
  # Under a higher limit it is asked whole.
  label --set run_dir=again --set prompt.max_prompt_tokens=500 || { cat label.err; false; }
  [ "$(wc -l < again/dataset/labels.jsonl)" -eq 121 ]
  grep -qF "$long" requests.jsonl
}

@test "settings that cannot work are refused before anything is asked" {
  export BASE_URL=http://127.0.0.1:9/v1
  code=0; "$RETORT" config check --config retort.yaml --set 'teacher.extra_body=[1]' 2> err || code=$?
  [ "$code" -eq 2 ]; grep -q "teacher.extra_body" err
  code=0; "$RETORT" config check --config retort.yaml --set teacher.schema_file=nowhere.json 2> err || code=$?
  [ "$code" -eq 2 ]; grep -q "teacher.schema_file: nowhere.json" err
  code=0; "$RETORT" config validate --config retort.yaml --set teacher.api_key=sk-plain 2> err || code=$?
  [ "$code" -eq 2 ]; ! grep -q sk-plain err
  code=0; "$RETORT" config validate --config retort.yaml --set teacher.base_url=ftp://x 2> err || code=$?
  [ "$code" -eq 2 ]; grep -q "teacher.base_url: found 'ftp://x'" err
  code=0
  label --set prompt.kind=reasoning --set 'prompt.instruction=Think step by step.' || code=$?
  [ "$code" -eq 2 ]
  grep -q 'prompt.instruction: found "step by step"' label.err run/logs/*.log
}
