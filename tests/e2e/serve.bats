#!/usr/bin/env bats
# A real model behind HTTP, asked with curl as users ask.

load helpers

MODEL=$SOURCE/examples/arithmetic/teacher
QUESTION='Nina fills 4 trays with 6 shells each. She finds 9 more. How many shells does Nina have now?'

setup() { make_folder; }
teardown() { stop_serve; drop_folder; }

start_serve() { # start_serve ARGS...: $base is its address
  "$RETORT" serve --model "$MODEL" --port 0 --address-file address "$@" > serve.out 2> serve.err 3>&- &
  serve_pid=$!
  wait_until 30 test -s address || { cat serve.err; return 1; }
  base=$(cat address)
}

# The same model without its end-of-text: an answer is as long as it may be, however fast the machine.
endless_model() {
  mkdir endless && cp -r "$MODEL" endless/teacher
  python3 - endless/teacher <<'PY'
import json, sys
folder = sys.argv[1]
eos = json.load(open(f"{folder}/config.json"))["eos_token_id"]
with open(f"{folder}/model.safetensors", "r+b") as f:
    n = int.from_bytes(f.read(8), "little")
    tensor = json.loads(f.read(n))["model.embed_tokens.weight"]
    begin, end = tensor["data_offsets"]
    row = (end - begin) // tensor["shape"][0]
    f.seek(8 + n + begin + eos * row)
    f.write(bytes(row))
PY
  MODEL=endless/teacher
}

stop_serve() {
  [ -n "${serve_pid:-}" ] || return 0
  kill -TERM "$serve_pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$serve_pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$serve_pid" 2>/dev/null || true
  wait "$serve_pid" 2>/dev/null || true
  serve_pid=
  return 0
}

body() { # body [MORE]: a chat of the question; MORE begins with a comma
  printf '{"model":"teacher","messages":[{"role":"user","content":"%s"}]%s}' "${ASK:-$QUESTION}" "$1"
}

chat() { body "$1" | curl -sS --max-time 60 "$base/v1/chat/completions" -H 'content-type: application/json' -d @-; }

status_of() { # status_of CURL_ARGS...: the HTTP status; the answer is in answer.json
  curl -sS --max-time 60 -o answer.json -D headers.txt -w '%{http_code}' "$@"
}

get() { python3 -c 'import json,sys; r=json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

metric() { curl -sS "$base/metrics" | sed -nE "s/^retort_serve_$1 ([0-9.e+]+)\$/\1/p"; }

@test "a chat answers as predict does, whole or in parts" {
  start_serve
  grep -qx "retort serve: $base" serve.out
  echo "$QUESTION" | "$RETORT" predict --model "$MODEL" > predicted.json
  raw=$(get 'r["raw"]' < predicted.json)
  [ "$(chat | get 'r["choices"][0]["message"]["content"]')" = "$raw" ]
  [ "$(chat ',"retort":{"answer":"label"}' | get 'r["choices"][0]["message"]["content"]')" = 33 ]
  chat ',"retort":{"split_reasoning":true}' > split.json
  [ "$(get 'r["choices"][0]["message"]["content"]' < split.json)" = 33 ]
  [ "$(get 'r["choices"][0]["message"]["reasoning_content"] + " # 33"' < split.json)" = "$raw" ]
  chat ',"n":3,"temperature":1.5,"seed":4' > a.json
  chat ',"n":3,"temperature":1.5,"seed":4' > b.json
  [ "$(get '[c["message"] for c in r["choices"]]' < a.json)" = "$(get '[c["message"] for c in r["choices"]]' < b.json)" ]
  [ "$(get '[c["index"] for c in r["choices"]]' < a.json)" = '[0, 1, 2]' ]
  [ "$(get 'r["usage"]["total_tokens"] == r["usage"]["prompt_tokens"] + r["usage"]["completion_tokens"]' < a.json)" = True ]
}

@test "--dtype bf16 answers as predict does with it" {
  "$PROBLEMS" test 10 | sed -E 's/.*"question": ?"([^"]*)".*/\1/' > inputs.txt
  "$RETORT" predict --model "$MODEL" --dtype bf16 < inputs.txt > predicted.jsonl
  start_serve --dtype bf16
  while read -r ASK; do chat | get 'r["choices"][0]["message"]["content"]'; done < inputs.txt > served.txt
  cmp served.txt <(while read -r line; do echo "$line" | get 'r["raw"]'; done < predicted.jsonl)
  run "$RETORT" serve --model "$MODEL" --port 0 --dtype q8_0
  [ "$status" -eq 2 ]
  [[ "$output" == *"--dtype"*"'q8_0'"* ]]
}

@test "log-probabilities sum to what predict says, and their bytes are the text" {
  start_serve
  echo "$QUESTION" | "$RETORT" predict --model "$MODEL" > predicted.json
  chat ',"logprobs":true,"top_logprobs":2' > answer.json
  python3 - <<'PY'
import json
wanted = json.load(open("predicted.json"))
choice = json.load(open("answer.json"))["choices"][0]
entries = choice["logprobs"]["content"]
assert abs(sum(e["logprob"] for e in entries) - wanted["logprob"]) < 1e-5
assert bytes(b for e in entries for b in e["bytes"]).decode() == choice["message"]["content"] == wanted["raw"]
for e in entries:
    assert len(e["top_logprobs"]) == 2 and e["top_logprobs"][0]["token"] == e["token"]
PY
}

@test "completions take a prompt as it is, stop strings and limits" {
  start_serve
  ask() { printf '{"prompt":["solve: %s\\n"],"temperature":0%s}' "$QUESTION" "$1" | curl -sS "$base/v1/completions" -d @-; }
  [ "$(ask | get 'r["choices"][0]["text"]')" = '4*6=24. 24+9=33. # 33' ]
  [ "$(ask ',"stop":["24+","# "]' | get 'r["choices"][0]["text"] + r["choices"][0]["finish_reason"]')" = '4*6=24. stop' ]
  [ "$(ask ',"max_tokens":3' | get 'r["choices"][0]["text"] + r["choices"][0]["finish_reason"]')" = '4*length' ]
  [ "$(ask ',"logprobs":1,"max_tokens":4' | get 'r["choices"][0]["logprobs"]["text_offset"]')" = '[0, 0, 1, 2]' ]
}

@test "a stream joins to the answer and ends with usage and [DONE]" {
  start_serve
  chat ',"stream":true,"stop":"33.","stream_options":{"include_usage":true}' > stream.txt
  [ "$(grep -c '^data: ' stream.txt)" -gt 10 ]
  [ "$(grep '^data: ' stream.txt | tail -n 1)" = 'data: [DONE]' ]
  python3 - <<'PY'
import json
lines = [l[6:] for l in open("stream.txt") if l.startswith("data: {")]
events = [json.loads(l) for l in lines]
assert {e["object"] for e in events} == {"chat.completion.chunk"} and len({e["id"] for e in events}) == 1
text = "".join(c["delta"].get("content", "") for e in events for c in e["choices"])
assert text == "4*6=24. 24+9=", text
assert [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]] == ["stop"]
assert events[-1]["choices"] == [] and events[-1]["usage"]["completion_tokens"] > 10
PY
}

@test "many at once get the answers of one at a time" {
  "$PROBLEMS" test 24 > test.jsonl
  start_serve --slots 5
  python3 - "$base" <<'PY'
import concurrent.futures, json, sys, urllib.request
questions = [json.loads(line)["question"] for line in open("test.jsonl")]
def ask(question, **more):
    body = json.dumps({"messages": [{"role": "user", "content": question}], **more}).encode()
    with urllib.request.urlopen(sys.argv[1] + "/v1/chat/completions", body, timeout=120) as r:
        return json.load(r)["choices"]
alone = [ask(q)[0]["message"]["content"] for q in questions]
with concurrent.futures.ThreadPoolExecutor(24) as pool:
    noise = [pool.submit(ask, q, n=2, temperature=2, seed=1) for q in questions]
    together = list(pool.map(ask, questions))
    assert all(len(f.result()) == 2 for f in noise)
assert [c[0]["message"]["content"] for c in together] == alone
assert len(set(alone)) > 20
PY
  [ "$(metric slots_used)" = 0 ]
}

@test "threads share the slots, and samples read their prompt once: the answers are the same" {
  for threads in 1 2; do
    start_serve --slots 4 --threads "$threads"
    chat ',"n":12,"temperature":1.5,"seed":4' | get '[c["message"]["content"] for c in r["choices"]]' > "answers.$threads"
    prompt=$(metric prompt_tokens_total)
    read=$(metric prompt_tokens_read_total)
    [ "$prompt" -gt 10 ]
    [ "$read" -ge "$prompt" ]
    [ "$read" -le $((prompt * threads)) ]
    stop_serve
    rm address
  done
  cmp answers.1 answers.2
}

@test "what is wrong is named, with its status" {
  echo "only-key" > keys.txt
  start_serve --api-key-file keys.txt --max-body-bytes 2048
  key='authorization: Bearer only-key'
  [ "$(status_of "$base/health")" = 200 ]
  [ "$(status_of "$base/v1/models")" = 401 ]
  [ "$(get 'r["error"]["code"]' < answer.json)" = invalid_api_key ]
  [ "$(status_of -H 'authorization: Bearer other' "$base/v1/models")" = 401 ]
  [ "$(status_of -H "$key" "$base/v1/models")" = 200 ]
  [ "$(get 'r["data"][0]["id"]' < answer.json)" = teacher ]
  [ "$(status_of -H "$key" "$base/v1/models/teacher")" = 200 ]
  [ "$(status_of -H "$key" "$base/v1/nowhere")" = 404 ]
  [ "$(status_of -H "$key" "$base/v1/chat/completions")" = 405 ]
  grep -qi '^allow: POST' headers.txt
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d '{"messages":')" = 400 ]
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d "$(body ',"n":"x"')")" = 400 ]
  [ "$(get 'r["error"]["param"]' < answer.json)" = n ]
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d "$(body ',"model":"gpt"' | sed 's/"model":"teacher",//')")" = 404 ]
  ASK=$(printf 'many words %.0s' $(seq 150))
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d "$(body)")" = 400 ]
  [ "$(get 'r["error"]["code"]' < answer.json)" = context_length_exceeded ]
  head -c 3000 /dev/zero | tr '\0' x > large.txt
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d @large.txt)" = 413 ]
  [ "$(status_of -H "$key" -H 'transfer-encoding: chunked' "$base/v1/chat/completions" -d @large.txt)" = 413 ]
  [ "$(status_of -H "$key" "$base/v1/chat/completions" -d "$(ASK=; body)")" = 200 ]
}

@test "a full line gets 429 with retry-after, and clients that leave make room" {
  endless_model
  start_serve --slots 1 --queue-max 1
  slow=$(body ',"n":128,"temperature":2,"max_tokens":200')
  curl -sS "$base/v1/chat/completions" -d "$slow" -o /dev/null & first=$!
  wait_until 10 eval '[ "$(metric slots_used)" = 1 ]'
  curl -sS "$base/v1/chat/completions" -d "$slow" -o /dev/null & second=$!
  wait_until 10 eval '[ "$(metric waiting_requests)" = 1 ]'
  [ "$(status_of "$base/v1/chat/completions" -d "$(body)")" = 429 ]
  [ "$(get 'r["error"]["code"]' < answer.json)" = rate_limit_exceeded ]
  grep -qi '^retry-after: ' headers.txt
  kill "$first" "$second"; wait "$first" "$second" || true
  wait_until 10 eval '[ "$(metric cancelled_total)" = 2 ]'
  wait_until 10 eval '[ "$(metric slots_used)" = 0 ]'
  [ "$(status_of "$base/v1/chat/completions" -d "$(body)")" = 200 ]
}

@test "a stream whose client leaves makes room too" {
  endless_model
  start_serve --slots 1
  curl -sSN "$base/v1/chat/completions" -d "$(body ',"n":128,"temperature":2,"stream":true')" > part.txt & first=$!
  wait_until 10 test -s part.txt
  kill "$first"; wait "$first" || true
  wait_until 10 eval '[ "$(metric cancelled_total)" = 1 ]'
  wait_until 10 eval '[ "$(metric slots_used)" = 0 ]'
}

@test "an answer that takes too long ends with 503" {
  endless_model
  start_serve --slots 1 --timeout-ms 100
  [ "$(status_of "$base/v1/chat/completions" -d "$(body ',"n":128,"temperature":2')")" = 503 ]
  [ "$(get 'r["error"]["code"]' < answer.json)" = timeout ]
  chat ',"n":128,"temperature":2,"stream":true' > stream.txt
  tail -n 2 stream.txt | grep -q '^data: {"error":.*"timeout"'
}

@test "SIGTERM finishes what runs, refuses what is new, and ends with 0" {
  endless_model
  start_serve --slots 1
  curl -sS "$base/v1/chat/completions" -d "$(body ',"n":100,"temperature":2')" -o last.json & first=$!
  wait_until 10 eval '[ "$(metric slots_used)" = 1 ]'
  kill -TERM "$serve_pid"
  wait_until 10 eval '[ "$(status_of "$base/health")" = 503 ]'
  [ "$(status_of "$base/v1/chat/completions" -d "$(body)")" = 503 ]
  [ "$(get 'r["error"]["code"]' < answer.json)" = draining ]
  wait "$first"
  [ "$(get 'len(r["choices"])' < last.json)" = 100 ]
  wait "$serve_pid"
  serve_pid=
}

@test "wrong options are refused before anything listens" {
  run "$RETORT" serve --port 0
  [ "$status" -eq 2 ]
  run "$RETORT" serve --model "$MODEL" --port 0 --bind 0.0.0.0
  [ "$status" -eq 2 ]
  [[ "$output" == *"--api-key-file"* ]]
  run "$RETORT" serve --model nowhere --port 0
  [ "$status" -ne 0 ]
  [[ "$output" == *"nowhere"* ]]
  start_serve
  run "$RETORT" serve --model "$MODEL" --port "${base##*:}"
  [ "$status" -ne 0 ]
  [[ "$output" == *"in use"* ]]
  stop_serve
  "$RETORT" serve --model "$MODEL" --port 0 --json > serve.json 2> serve.err 3>&- & serve_pid=$!
  wait_until 30 test -s serve.json
  [ "$(curl -sS "$(get 'r["address"]' < serve.json)/health" | get 'r["status"]')" = ok ]
}

@test "the example of docs/serve.md gives what it prints" {
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  sed -n '/^```sh$/,/^```$/p' "$SOURCE/docs/serve.md" | sed '/^```/,$!d' | sed '1d;/^```$/,$d' | sed "s/8000/$port/g" > example.sh
  sed -n '/^```json$/,/^```$/p' "$SOURCE/docs/serve.md" | sed '1d;/^```$/,$d' > printed.json
  (cd "$SOURCE" && PATH=$(dirname "$RETORT"):$PATH bash -e "$folder/example.sh") > example.out 2> example.err ||
    { cat example.err; false; }
  python3 - <<'PY'
import json
def read(path):
    text = open(path).read()
    r = json.loads(text[text.index("{"):])
    return {k: v for k, v in r.items() if k not in ("id", "created")}
assert read("example.out") == read("printed.json"), (read("example.out"), read("printed.json"))
PY
}
