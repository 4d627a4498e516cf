#!/usr/bin/env bats
# `retort doctor`: what a run needs, looked at before anything is spent.

load helpers

MODEL=$SOURCE/examples/arithmetic/teacher

setup() { make_folder; }

teardown() {
  stop_serve
  stop_redis
  stop_parrot
  drop_folder
}

start_serve() { # start_serve ARGS...: $site is its address
  "$RETORT" serve --model "$MODEL" --port 0 --address-file address "$@" > serve.out 2> serve.err 3>&- &
  serve_pid=$!
  wait_until 20 test -s address || { cat serve.err; return 1; }
  site=$(cat address)
}

stop_serve() {
  [ -n "${serve_pid:-}" ] || return 0
  kill "$serve_pid" 2>/dev/null && wait "$serve_pid" 2>/dev/null || true
  serve_pid=
}

start_redis() { # start_redis ARGS...: at redis.sock
  redis-server --port 0 --unixsocket "$folder/redis.sock" --save "" "$@" > redis.out 2>&1 3>&- &
  redis_pid=$!
  wait_until 10 test -S redis.sock
}

stop_redis() {
  [ -n "${redis_pid:-}" ] || return 0
  kill "$redis_pid" 2>/dev/null && wait "$redis_pid" 2>/dev/null || true
  redis_pid=
}

stop_parrot() {
  [ -n "${parrot_pid:-}" ] || return 0
  kill "$parrot_pid" 2>/dev/null && wait "$parrot_pid" 2>/dev/null || true
  parrot_pid=
}

write_server_config() { # with a server's teacher at $site
  "$PROBLEMS" corpus 60 > corpus.jsonl
  cat > server.yaml <<YAML
name: small
run_dir: run
task: {name: arithmetic, answer: number, markers: ["#"]}
corpus: {files: [corpus.jsonl], input: "{question}"}
teacher: {backend: openai, base_url: "$site/v1", model: teacher, max_new_tokens: 80}
prompt: {template: "{input}"}
student: {d_model: 32, n_layers: 2, n_heads: 2, d_ff: 64, seq_len_max: 192}
train: {micro_batch_tokens: 400}
limits: {price_input: 1, price_output: 2, budget: 1}
YAML
}

doctor() { # doctor CONFIG ARGS...: out.json, $code
  code=0
  "$RETORT" doctor --config "$1" --json "${@:2}" > out.json 2> err.out || code=$?
}

of() { # of CHECK MEMBER: of the first finding of that check that is not ok, else of the first
  python3 - "$1" "$2" <<'PY'
import json, sys
found = [f for f in json.load(open("out.json")) if f["check"] == sys.argv[1]]
found.sort(key=lambda f: f["status"] == "ok")
print(found[0][sys.argv[2]] if found else "none")
PY
}

failures() { python3 -c 'import json; print(*[f["check"] for f in json.load(open("out.json")) if f["status"] == "fail"])'; }

requests() { # requests ROUTE: how many the server has answered
  curl -sS "$site/metrics" |
    awk -v route="route=\"$1\"" '/^retort_serve_requests_total/ && index($0, route) {n += $2} END {print n + 0}'
}

@test "all is well with a real server, and nothing is asked of its model or left behind" {
  start_serve
  write_server_config
  ls -A > before
  run "$RETORT" doctor --config server.yaml
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"ok    teacher.model "* ]]
  [[ "$output" == *" 0 failures"* ]]
  [[ "$output" != *$'\033'* ]]                              # no colours but on a terminal
  [ "$(grep -vcE '^(ok|warn|fail) +[a-z_.]+ |^$|^[0-9]+ ok, ' <<< "$output")" -eq 0 ]   # one line each
  [ "$(requests /v1/models)" -eq 1 ]
  [ "$(requests /v1/chat/completions)" -eq 0 ]
  [ "$(requests /v1/completions)" -eq 0 ]
  ls -A | diff before - || { ls -A; false; }
  doctor server.yaml
  python3 - <<'PY'
import json
for f in json.load(open("out.json")):
    assert set(f) == {"check", "status", "found", "expected", "fix"}, f
    assert f["status"] in ("ok", "warn", "fail") and all(isinstance(v, str) for v in f.values()), f
    assert f["found"], f
PY
  for check in config files corpus teacher.server teacher.key teacher.model teacher.prompt tokenizer student \
      student.length memory redis run_dir disk cache open_files address; do
    [ "$(of "$check" status)" = ok ] || { echo "$check"; cat out.json; false; }
  done
  run script -qc "'$RETORT' doctor --config server.yaml" /dev/null
  [[ "$output" == *$'\033[32mok'* ]]
}

@test "--ask sends one small request and tells what it took; --offline asks nobody" {
  start_serve
  write_server_config
  doctor server.yaml --ask --set teacher.logprobs=true --set quality.samples=2 --set teacher.choices_max=2
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [ "$(of teacher.ask status)" = ok ]
  [[ "$(of teacher.ask found)" =~ answered\ in\ [0-9]+\ ms:\ [0-9]+\ \+\ [0-9]+\ tokens,\ 0\.00[0-9]+\ USD ]]
  [ "$(requests /v1/chat/completions)" -eq 1 ]
  doctor server.yaml --ask --set 'teacher.extra_body={"n": "many"}'
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.ask ]
  [[ "$(of teacher.ask fix)" == *extra_body* ]]
  doctor server.yaml --set prompt.max_prompt_tokens=5
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.prompt ]
  n=$(requests /v1/models)
  doctor server.yaml --offline
  [ "$code" -eq 0 ]
  [ "$(of teacher.server status)" = warn ]
  [ "$(requests /v1/models)" -eq "$n" ]
  run "$RETORT" doctor --config server.yaml --offline --ask
  [ "$status" -eq 2 ]
}

@test "a wrong model name, a wrong base URL, nobody there" {
  start_serve
  write_server_config
  doctor server.yaml --set teacher.model=teachr
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.model ]
  [[ "$(of teacher.model found)" == *"teachr is not in the list of models: teacher" ]]
  for wrong in "$site" "$site/v1/chat/completions" "$site/v2"; do
    doctor server.yaml --set "teacher.base_url=$wrong"
    [ "$code" -eq 2 ]
    [ "$(failures)" = teacher.server ]
    [ "$(of teacher.server fix)" = "set teacher.base_url to $site/v1" ] || { cat out.json; false; }
  done
  doctor server.yaml --set "teacher.base_url=${site/http:/https:}/v1"
  [ "$code" -eq 4 ]
  [[ "$(of teacher.server fix)" == *"write http://"* ]] || { cat out.json; false; }
  [ "$(requests /v1/chat/completions)" -eq 0 ]
  stop_serve
  doctor server.yaml
  [ "$code" -eq 4 ]
  [ "$(failures)" = teacher.server ]
  [[ "$(of teacher.server fix)" == *"start the server"* ]]
  doctor server.yaml --set teacher.base_url=http://nowhere.invalid/v1
  [ "$code" -eq 4 ]
  [[ "$(of teacher.server found)" == *"nowhere.invalid"* ]]
}

@test "a wrong key, no key and a key that is not there, and none is shown" {
  echo right-secret > keys.txt
  start_serve --api-key-file keys.txt
  write_server_config
  doctor server.yaml
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.key ]
  [[ "$(of teacher.key found)" == *"no key is set"* ]]
  export TEACHER_KEY=wrong-secret
  doctor server.yaml --set 'teacher.api_key=${TEACHER_KEY}'
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.key ]
  [[ "$(of teacher.key found)" == *'${TEACHER_KEY} is refused (status 401)'* ]]
  doctor server.yaml --set teacher.api_key=file:nothing
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.key ]
  doctor server.yaml --set teacher.api_key=file:keys.txt --ask
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [ "$(cat out.json err.out | grep -c -- -secret)" -eq 0 ]
  # A server that says it back.
  cat > parrot.py <<'PY'
import http.server
class Parrot(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ('{"error": {"message": "not %s"}}' % self.headers["Authorization"]).encode()
        self.send_response(401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Parrot)
print(server.server_port, flush=True)
server.serve_forever()
PY
  python3 parrot.py > port 3>&- &
  parrot_pid=$!
  wait_until 10 test -s port
  doctor server.yaml --set 'teacher.api_key=${TEACHER_KEY}' --set "teacher.base_url=http://127.0.0.1:$(cat port)/v1"
  stop_parrot
  [ "$code" -eq 2 ]
  [[ "$(of teacher.key found)" == *"not Bearer ****"* ]] || { cat out.json; false; }
  [ "$(cat out.json err.out | grep -c -- -secret)" -eq 0 ]
}

@test "the second teacher is looked at too" {
  start_serve
  write_server_config
  printf 'teacher: {backend: openai, base_url: "%s/v1", model: other}\n' "$site" > second.yaml
  doctor server.yaml --set escalate.config=second.yaml
  [ "$code" -eq 2 ]
  [ "$(failures)" = escalate.model ]
  [ "$(of teacher.model status)" = ok ]
}

@test "recorded texts: how many rows they answer; rows that are broken" {
  make_recorded 40
  write_config
  doctor retort.yaml
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [ "$(of teacher.recorded found)" = "all of the 40 rows have a recorded text" ]
  head -n 30 recorded.jsonl > some.jsonl
  doctor retort.yaml --set 'teacher.files=["some.jsonl"]'
  [ "$code" -eq 0 ]
  [ "$(of teacher.recorded status)" = warn ]
  [[ "$(of teacher.recorded found)" == "30 of the 40 rows"* ]]
  doctor retort.yaml --set 'teacher.match_field=x {question}'
  [ "$code" -eq 3 ]
  [ "$(failures)" = teacher.recorded ]
  for _ in 1 2; do echo '{"question":'; done > broken.jsonl
  doctor retort.yaml --set 'corpus.files=["broken.jsonl"]'
  [ "$code" -eq 3 ]
  [[ "$(failures)" == corpus* ]]
  [[ "$(of corpus found)" == *"broken.jsonl:1"* ]]
}

@test "a model folder: whole, without its weights, with others" {
  start_serve
  write_server_config
  set_native=(--set teacher.backend=native --set limits.budget=0)
  doctor server.yaml "${set_native[@]}" --set "teacher.model=$MODEL"
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [[ "$(of teacher.model found)" == *"million parameters"* ]]
  doctor server.yaml "${set_native[@]}" --set "teacher.model=$MODEL" --set prompt.max_prompt_tokens=3
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.prompt ]
  cp -r "$MODEL" model
  doctor server.yaml "${set_native[@]}" --set teacher.model=model
  [ "$code" -eq 0 ]
  sed -i 's/"vocab_size": *\([0-9]\)/"vocab_size": 1\1/' model/config.json
  doctor server.yaml "${set_native[@]}" --set teacher.model=model
  [ "$code" -eq 3 ]
  [ "$(failures)" = teacher.model ]
  rm model/*.safetensors
  doctor server.yaml "${set_native[@]}" --set teacher.model=model
  [ "$code" -eq 2 ]
  [ "$(failures)" = teacher.model ]
}

@test "files, tokenizer and student that are not what they should be" {
  make_recorded 40
  write_config
  doctor retort.yaml --set tokenizer.model=nothing.model
  [ "$code" -eq 2 ]
  [ "$(failures)" = files ]
  [[ "$(of files found)" == "tokenizer.model: nothing.model: No such file"* ]]
  doctor retort.yaml --set tokenizer.model=recorded.jsonl
  [ "$code" -eq 3 ]
  [ "$(failures)" = tokenizer ]
  doctor retort.yaml --set "tokenizer.model=$MODEL/tokenizer.model"
  [ "$code" -eq 0 ]
  doctor retort.yaml --set "student.init_from=$MODEL" --set "tokenizer.model=$MODEL/tokenizer.model"
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [ "$(of student status)" = ok ]
  doctor retort.yaml --set "student.init_from=$MODEL"
  [ "$(of student status)" != ok ]
  doctor retort.yaml --set "tokenizer.model=$MODEL/tokenizer.model" --set student.seq_len_max=8
  [ "$code" -eq 2 ]
  [ "$(failures)" = student.length ]
  doctor retort.yaml --set student.d_model=31
  [ "$code" -eq 2 ]
  [ "$(failures)" = config ]
  doctor no-such.yaml
  [ "$code" -eq 2 ]
  [ "$(failures)" = config ]
}

@test "Redis: no binary; another one that evicts, has a password, is away" {
  make_recorded 40
  write_config
  code=0
  PATH=/nowhere "$RETORT" doctor --config retort.yaml --json > out.json || code=$?
  [ "$code" -eq 4 ]
  [ "$(failures)" = redis ]
  [[ "$(of redis found)" == *"redis-server is not installed"* ]]
  start_redis --maxmemory 200mb --maxmemory-policy allkeys-lru
  doctor retort.yaml --set "queue.url=unix:$folder/redis.sock"
  [ "$code" -eq 0 ] || { cat out.json; false; }
  [ "$(of redis status)" = warn ]
  [[ "$(of redis expected)" == *noeviction* ]]
  redis-cli -s redis.sock config set maxmemory-policy noeviction > /dev/null
  doctor retort.yaml --set "queue.url=unix:$folder/redis.sock"
  [ "$(of redis status)" = ok ]
  redis-cli -s redis.sock config set requirepass hidden > /dev/null
  doctor retort.yaml --set "queue.url=unix:$folder/redis.sock"
  [ "$code" -eq 4 ]
  [ "$(failures)" = redis ]
  stop_redis
  doctor retort.yaml --set "queue.url=unix:$folder/redis.sock"
  [ "$code" -eq 4 ]
  [ "$(failures)" = redis ]
}

@test "a file in the way of the run folder, a run with other settings, a port that is taken" {
  make_recorded 40
  write_config
  echo > run
  doctor retort.yaml
  [ "$code" -eq 4 ]
  [[ " $(failures) " == *" run_dir "* ]]
  [[ "$(of run_dir found)" == *"in the way"* ]]
  doctor retort.yaml --set run_dir=run/below
  [ "$code" -eq 4 ]
  rm run
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  doctor retort.yaml
  [ "$code" -eq 0 ] || { cat out.json; false; }
  doctor retort.yaml --set seed=9
  [ "$code" -eq 2 ]
  [ "$(failures)" = run_dir ]
  [[ "$(of run_dir found)" == *"other settings"* ]]
  start_serve
  doctor retort.yaml --set "net.http=${site#http://}"
  [ "$code" -eq 4 ]
  [ "$(failures)" = address ]
}
