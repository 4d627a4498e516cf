#!/usr/bin/env bats
# Models of other programs, read and written. The published files lie beside the checkout: what needs
# them is skipped where they are absent.

load helpers

WEIGHTS=$(cd "${RT_SHARED:-$SOURCE/../shared}/data/weights" 2>/dev/null && pwd) || WEIGHTS=
TEACHER=$SOURCE/examples/arithmetic/teacher

setup() { make_folder; }
teardown() { stop_serve; drop_folder; }

need_weights() { [ -n "$WEIGHTS" ] || skip "no shared/data/weights beside the checkout"; }

stop_serve() {
  [ -n "${serve_pid:-}" ] || return 0
  kill -TERM "$serve_pid" 2>/dev/null || true
  wait "$serve_pid" 2>/dev/null || true
  serve_pid=
}

complete() { # complete MODEL PROMPT N: N greedy tokens over HTTP
  "$RETORT" serve --model "$1" --port 0 --address-file address > serve.out 2> serve.err 3>&- &
  serve_pid=$!
  wait_until 30 test -s address || { cat serve.err; return 1; }
  curl -sS --max-time 60 "$(cat address)/v1/completions" -H 'content-type: application/json' \
    -d "{\"model\":\"$(basename "$1")\",\"prompt\":\"$2\",\"max_tokens\":$3,\"temperature\":0}" |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["choices"][0]["text"])'
  stop_serve
  rm -f address
}

@test "a model of llama2.c becomes a folder that serves what its own program writes" {
  need_weights
  run "$RETORT" convert "$WEIGHTS/aidreams260K.bin" --tokenizer "$WEIGHTS/tok512.bin" --output dreams
  [ "$status" -eq 0 ]
  [[ "$output" == *"230976 parameters from llama2c"* ]]
  complete dreams 'I dream of' 50 > text
  python3 - "$WEIGHTS/golden_greedy.json" text <<'PY'
import json, sys
golden = json.load(open(sys.argv[1]))
found = golden["prompt2"] + " " + open(sys.argv[2]).read().strip()
n = min(len(found), len(golden["text2"]))
assert n > 80 and found[:n] == golden["text2"][:n], found
PY
}

@test "bytes that are no model are refused by name, and nothing is left behind" {
  need_weights
  head -c 5000 "$WEIGHTS/aidreams260K.bin" > short.bin
  run "$RETORT" convert short.bin --tokenizer "$WEIGHTS/tok512.bin" --output out
  [ "$status" -eq 3 ]
  [[ "$output" == *"short.bin: 5000 bytes"*"make 932124"* ]]
  run "$RETORT" convert "$WEIGHTS/aidreams260K.bin" --tokenizer "$WEIGHTS/test_model.model" --output out
  [ "$status" -eq 3 ]
  [[ "$output" == *"1000 pieces"*"only 512 rows"* ]]
  run "$RETORT" convert "$WEIGHTS/aidreams260K.bin" --output out --json
  [[ "$output" == *'"status": "notfound"'* || "$output" == *'"status":"notfound"'* ]]
  [ -z "$(find . -name 'out*')" ]
  mkdir out && touch out/mine
  run "$RETORT" convert "$WEIGHTS/aidreams260K.bin" --tokenizer "$WEIGHTS/tok512.bin" --output out
  [[ "$output" == *"out: exists"* ]]
  [ -e out/mine ]
}
