#!/usr/bin/env bats
# A teacher over HTTP, as a user meets it: a server that fails often, a key, the answer cache.

load helpers

setup() { make_folder; make_recorded 120; write_openai_config; }

teardown() {
  [ -z "${front_pid:-}" ] || { kill -- "-$front_pid" 2>/dev/null && wait "$front_pid" 2>/dev/null; }
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

@test "a server that is away is the problem that everybody is shown, until it is back" {
  command -v socat > /dev/null || skip "needs socat"
  start_teacher 0
  behind=${BASE_URL#http://} behind=${behind%/v1}
  port=$(free_port)
  export BASE_URL="http://127.0.0.1:$port/v1" # nobody listens there yet
  "$RETORT" label --config retort.yaml --set teacher.retries_max=1000 > label.out 2> label.err 3>&- &
  run_pid=$!
  shown() { "$RETORT" stats --config retort.yaml --json 2> /dev/null | grep '"problem"' | grep -q "teacher-0: the teacher.s server fails: "; }
  wait_until 20 shown
  wait_until 10 grep -q "the teacher's server fails" label.err
  setsid socat "tcp-listen:$port,bind=127.0.0.1,fork,reuseaddr" "tcp:$behind" 3>&- & front_pid=$!
  wait_run || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
}

@test "a second run over the same rows asks for nothing" {
  start_teacher 0
  label || { cat label.err; show_logs; false; }
  label --set run_dir=again --set name=again || { cat label.err; false; }
  [ "$(wc -l < again/dataset/labels.jsonl)" -eq 120 ]
  stop_teacher
  [ "$(requests)" -eq 120 ]
}

@test "rows that are put back may forget their answers and be asked afresh" {
  for i in 1 2 3; do printf '{"question":"What is missing in %d?","answer":"7","text":"no marker"}\n' "$i" >> recorded.jsonl; done
  start_teacher 0
  label || { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/rejected.jsonl)" -eq 3 ]
  sed -i 's/no marker/Now it is. # 7/' recorded.jsonl       # the teacher knows better now
  kill -HUP "$teacher_pid"
  wait_until 10 grep -q 'read again' teacher.out
  "$RETORT" rejections --config retort.yaml --requeue > /dev/null
  label || { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/rejected.jsonl)" -eq 3 ]         # the cache says what was said before
  run "$RETORT" rejections --config retort.yaml --requeue --forget-answers --reason no_marker
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [[ "$output" == *"6 of their answers are no longer in the answer cache"* ]] || { echo "$output"; false; }
  label || { cat label.err; show_logs; false; }
  [ ! -s run/dataset/rejected.jsonl ]
  [ "$(labelled)" -eq 123 ]
  stop_teacher
  [ "$(requests)" -eq 129 ]                                 # 120, three twice, and three once more
  run "$RETORT" rejections --config retort.yaml --forget-answers
  [ "$status" -eq 2 ]
  [[ "$output" == *"--forget-answers: goes with --requeue"* ]]
}

@test "what a second teacher was paid for is kept too, whoever was asked first" {
  start_teacher 0
  cat > strong.yaml <<'YAML'
teacher: {backend: openai, base_url: "${BASE_URL}", model: teacher-1}
prompt: {instruction: "Answer with a reason."}
YAML
  sed -E 's/"text":"[^"]*"/"text":"I do not know."/' recorded.jsonl > cheap.jsonl
  write_config 10
  sed -i 's/files: \[recorded.jsonl\], match: input/files: [cheap.jsonl], match: input/' retort.yaml
  label --set escalate.config=strong.yaml || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
  [ "$(json run/spend.json requests)" -eq 120 ]             # counted, though the first teacher asks nobody
  label --set escalate.config=strong.yaml --set run_dir=again --set name=again || { cat label.err; false; }
  [ "$(wc -l < again/dataset/labels.jsonl)" -eq 120 ]
  stop_teacher
  [ "$(requests)" -eq 120 ]
}

@test "a teacher that is asked to stop gives its rows back, and the next has them at once" {
  start_teacher 0.9
  "$RETORT" label --config retort.yaml --set teacher.retries_max=200 --set label.lease_ms=600000 \
    --set net.dead_after_ms=300000 > label.out 2> label.err 3>&- &
  run_pid=$!
  wait_until 30 given_out
  kill -TERM "$(pid_of teacher-0)"
  wait_until 30 grep -q "lease.given_back .*worker=teacher-0" run/logs/coordinator.log
  no grep -q lease.returned run/logs/coordinator.log
}

given_out() { [ "$(stat_of leased)" -gt 0 ] 2>/dev/null && [ -n "$(pid_of teacher-0)" ]; }

@test "a wrong key ends the run at once, says so, and is shown nowhere" {
  start_teacher 0 right-key
  export TEACHER_KEY=wrong-secret
  code=0
  label --set 'teacher.api_key=${TEACHER_KEY}' || code=$?
  [ "$code" -eq 2 ]
  grep -q "teacher.api_key: the server refuses it" label.err run/logs/*.log
  no grep -rq wrong-secret run label.out label.err
  export TEACHER_KEY=right-key
  label --set 'teacher.api_key=${TEACHER_KEY}' || { cat label.err; show_logs; false; }
  [ "$(labelled)" -eq 120 ]
  no grep -rq right-key run label.out label.err
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
  no grep -q "word word" requests.jsonl
  # Under a higher limit it is asked whole.
  label --set run_dir=again --set prompt.max_prompt_tokens=500 || { cat label.err; false; }
  [ "$(wc -l < again/dataset/labels.jsonl)" -eq 121 ]
  grep -qF "$long" requests.jsonl
}

@test "probabilities of tokens are kept with the label, in the cache too, and only when asked for" {
  python3 - <<'PY'
import json, math
rows = [json.loads(line) for line in open("recorded.jsonl")]
for row in rows:
    text = row["text"].split("\n\nQ:")[0]
    tokens = [{"token": c, "bytes": list(c.encode()), "logprob": math.log(0.5), "top_logprobs": [
        {"token": "other", "bytes": list(b"other"), "logprob": math.log(0.25)},
        {"token": c, "bytes": list(c.encode()), "logprob": math.log(0.5)}]} for c in text]
    row["choice"] = {"index": 0, "finish_reason": "stop", "message": {"content": text}, "logprobs": {"content": tokens}}
open("recorded.jsonl", "w").writelines(json.dumps(row) + "\n" for row in rows)
PY
  start_teacher 0
  "$RETORT" run --config retort.yaml --set teacher.logprobs=true --set teacher.top_logprobs=2 > run.out 2>&1 ||
    { cat run.out; show_logs; false; }
  grep -q '"logprobs":true,"top_logprobs":2' requests.jsonl
  cat > check.py <<'PY'
import json, sys
sys.path.insert(0, ".")
from topk import read_topk
rows = {r["question"]: r for r in map(json.loads, open("recorded.jsonl"))}
labels = [json.loads(line) for line in open(sys.argv[1])]
assert len(labels) == 120
for r in labels:
    n_tokens, places = read_topk(r["topk"])
    text = b"".join(tokens[0][0] for tokens, tail in places).decode()
    assert text == rows[r["input"]]["choice"]["message"]["content"], text
    assert n_tokens == len(places) == len(text)
    for tokens, tail in places:
        assert [round(p, 6) for _, p in tokens] == [0.5, 0.25] and tokens[1][0] == b"other", tokens
        assert abs(tail - 0.25) < 1e-6, tail
PY
  sed -n '/^def read_topk/,/^```/p' "$SOURCE/docs/dataset.md" | grep -v '^```' > topk.body
  { echo "import base64, math, struct"; cat topk.body; } > topk.py
  python3 check.py run/dataset/labels.jsonl
  run "$RETORT" audit --config retort.yaml
  [[ "$output" == *"120  records have them; 25.00 %"* ]] || { echo "$output"; false; }
  label --set run_dir=again --set teacher.logprobs=true --set teacher.top_logprobs=2 || { cat label.err; false; }
  [ "$(wc -l < requests.jsonl)" -eq 120 ]                   # all of it out of the cache
  python3 check.py again/dataset/labels.jsonl
  [ "$(json again/summary.json dataset_sha256)" = "$(json run/summary.json dataset_sha256)" ]
  label --set run_dir=plain || { cat label.err; false; }
  no grep -q '"logprobs"' <(tail -n 120 requests.jsonl)
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
