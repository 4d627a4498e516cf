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

@test "a student becomes a GGUF file that keeps the format's rules, in every type, and comes back" {
  "$RETORT" convert "$TEACHER" --dtype q8_0 --output student.gguf
  python3 "$SOURCE/tests/tools/check_gguf.py" student.gguf "$TEACHER"
  for type in f32 f16 bf16; do
    "$RETORT" convert "$TEACHER" --dtype $type --output $type.gguf
    python3 "$SOURCE/tests/tools/check_gguf.py" $type.gguf
  done
  "$RETORT" convert f32.gguf --output back
  "$RETORT" convert "$TEACHER" --output f32
  cmp back/model.safetensors f32/model.safetensors
  cmp back/config.json f32/config.json
  cmp back/retort.json "$TEACHER/retort.json"
  question='Nina fills 4 trays with 6 shells each. She finds 9 more. How many shells does Nina have now?'
  "$RETORT" convert student.gguf --output q8
  echo "$question" | "$RETORT" predict --model q8 | grep -q '"label":"33"'
}

@test "the checker of GGUF finds a changed number, name and row" {
  "$RETORT" convert "$TEACHER" --dtype f16 --output a.gguf
  python3 - <<'PY'
import re
b = bytearray(open("a.gguf", "rb").read())
open("number.gguf", "wb").write(b[:-9] + bytes([b[-9] ^ 1]) + b[-8:])
open("name.gguf", "wb").write(b.replace(b"blk.0.attn_q", b"blk.0.attn_x"))
open("key.gguf", "wb").write(b.replace(b"llama.context_length", b"llama.context_lengtx"))
PY
  for f in number name key; do
    run python3 "$SOURCE/tests/tools/check_gguf.py" $f.gguf "$TEACHER"
    [ "$status" -eq 1 ]
  done
}

@test "weights in shards keep the limit and are the same model" {
  "$RETORT" convert "$TEACHER" --max-shard-size 1MB --output shards > out
  python3 "$SOURCE/tests/tools/check_safetensors.py" shards
  [ "$(ls shards/model-*.safetensors | wc -l)" -gt 3 ]
  sum=$(cd shards && sha256sum model-*.safetensors | sha256sum | cut -d' ' -f1)
  grep -q "$sum" out
  "$RETORT" convert "$TEACHER" --output one
  "$RETORT" convert shards --output joined
  cmp one/model.safetensors joined/model.safetensors
  rm shards/model-00002-of-*
  run "$RETORT" convert shards --output again
  [ "$status" -ne 0 ]
  [[ "$output" == *"model-00002-of-"*"is missing"*"holds tensor"* ]]
  [ ! -e again ]
}

@test "a GGUF file is not written over something else, and a wrong option is named" {
  echo mine > x.gguf
  run "$RETORT" convert "$TEACHER" --output x.gguf
  [ "$status" -ne 0 ]
  [[ "$output" == *"x.gguf: exists and is no GGUF file"* ]]
  [ "$(cat x.gguf)" = mine ]
  run "$RETORT" convert "$TEACHER" --dtype q8_0 --output folder
  [ "$status" -eq 2 ]
  [[ "$output" == *"q8_0 is a type of GGUF"* ]]
  run "$RETORT" convert "$TEACHER" --dtype q4_0 --output y.gguf
  [ "$status" -eq 2 ]
  run "$RETORT" convert "$TEACHER" --max-shard-size 5XB --output folder
  [ "$status" -eq 2 ]
  [[ "$output" == *"5XB"* ]]
}
