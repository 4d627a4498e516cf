#!/usr/bin/env bats
# Bad input is an answer, not a crash: it names the thing, and what was good is kept.

load helpers

setup() { make_folder; make_recorded 120; write_config 20; }
teardown() { drop_folder; }

@test "a setting out of range names file, line, key and range" {
  sed -i 's/  steps: 20/  steps: -3/' retort.yaml
  run "$RETORT" run --config retort.yaml
  [ "$status" -eq 2 ]
  [[ "$output" == *"retort.yaml:"*"train.steps"*"-3"* ]]
}

@test "too many corrupt rows stop the run and say where to look" {
  for i in $(seq 20); do echo "{broken $i"; done >> recorded.jsonl
  run "$RETORT" run --config retort.yaml
  [ "$status" -eq 3 ] || { echo "$output"; false; }
  [[ "$output" == *"malformed"* ]]
}

# Text that is text all the same is labelled and trained on; what is no text is malformed and told.
@test "rows of hostile text crash nobody, and each is accounted for" {
  python3 - >> recorded.jsonl <<'PY'
import json, sys
def row(question, text="4 # 4"):
    sys.stdout.buffer.write(json.dumps({"question": question, "answer": "4", "text": text}).encode() + b"\n")
row("\u0301\u0300\u0489" * 60, "\u0301\u0335 # 4")              # nothing but combining characters
row("a" + "\u0301" * 2000)                                      # one letter under two thousand of them
row("x" * 1000000)                                              # a megabyte without a blank
row("\u0301" * 50000)                                           # as many combining characters as a word may not have
row("what is " * 20000)                                         # words that repeat themselves
row("\u202e\u200b\ufeff\uffff\U0010ffff\u0085\u2028 1 + 3?", "\u202e3 + 1 = 4 # 4")
row("\u2581\u2581<s></s><unk><pad> {question} {{ }} ##", "<unk>\u2581 # 4")
row("\ttabs\r\nand\n\n\nlines\n", "\t\t # 4")
row("one\u0001two\u001b[31mthree\u007f", "\u0007 # 4")            # controls, among them those of terminals
row("   ")                                                      # nothing but blanks: malformed
out = sys.stdout.buffer
out.write(b'{"question":"bad \xff\xfe\xc3( bytes","answer":"4","text":"4 # 4"}\n')
out.write(b'{"question":"surrogate \xed\xa0\x80","answer":"4","text":"4 # 4"}\n')
out.write(b'{"question":"half a pair \\ud800","answer":"4","text":"4 # 4"}\n')
out.write(b'{"question":"zero \\u0000","answer":"4","text":"4 # 4"}\n')
out.write(b'{"question":"zero \x00 byte","answer":"4","text":"4 # 4"}\n')
out.write(b"\x00" * 1000000 + b"\n")
PY
  sed -i 's/^corpus: {/corpus: {bad_share_max: 0.1, /' retort.yaml
  run "$RETORT" run --config retort.yaml
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }
  [ "$(json run/summary.json malformed)" -eq 7 ]
  [ "$(wc -l < run/corpus/malformed.jsonl)" -eq 7 ]
  [ "$(json run/summary.json rows)" -eq 136 ]
  [ "$(json run/summary.json labelled)" -eq 129 ]
  [ "$(json run/summary.json steps)" -eq 20 ]
  "$RETORT" audit --config retort.yaml
  [[ "$output" != *"starting it again"* ]] || { echo "$output"; false; }
  # The text is that of the corpus, byte for byte.
  python3 - <<'PY'
import json
ask = {json.loads(l)["question"] for l in open("recorded.jsonl", "rb").read().split(b"\n")[120:129]}
kept = {json.loads(l)["input"] for l in open("run/dataset/labels.jsonl", encoding="utf-8")}
assert ask <= kept, [q[:40] for q in ask - kept]
PY
}

@test "a truncated model file is refused by name" {
  mkdir model
  "$RETORT" train --config retort.yaml --dataset /nonexistent > out 2>&1 && false
  printf '\x40\x00\x00\x00\x00\x00\x00\x00{"a":' > model/model.safetensors
  echo '{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,"max_position_embeddings":16,"rms_norm_eps":1e-6}' > model/config.json
  run "$RETORT" predict --model model --config retort.yaml < /dev/null
  [ "$status" -ne 0 ]
  [ "$status" -lt 128 ]
  [[ "$output" == *"model"* ]]
}

@test "a wrong tokenizer is refused" {
  echo "not a sentencepiece model" > wrong.model
  run "$RETORT" run --config retort.yaml --set tokenizer.model=wrong.model
  [ "$status" -ne 0 ]
  [ "$status" -lt 128 ]
  [[ "$output" == *"wrong.model"* ]] || { echo "$output"; false; }
}

shows() { # shows HTTP_PORT PATTERN: a line of /metrics
  exec 9<>/dev/tcp/127.0.0.1/"$1" || return 1
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&9
  grep -qE "^$2" <&9
}

@test "random bytes on every port are dropped and counted, and the run ends as if nothing had been" {
  write_config 300 # long enough for heartbeats to tell what the shard counted
  "$RETORT" run --config retort.yaml --set run_dir=base --json > /dev/null 2>&1
  start_run
  wait_until 60 at_least step 3
  coordinator=$(tr -d ' \n' < run/coordinator.json | sed -nE 's/.*"endpoint":"tcp:..127.0.0.1:([0-9]+)".*/\1/p')
  http=$(tr -d ' \n' < run/coordinator.json | sed -nE 's/.*"http":"127.0.0.1:([0-9]+)".*/\1/p')
  server=$(grep -ohE 'tcp://127.0.0.1:[0-9]+' run/logs/server-0.log | tail -n 1 | grep -oE '[0-9]+$')
  [ -n "$coordinator" ] && [ -n "$http" ] && [ -n "$server" ]
  for port in "$coordinator" "$http" "$server"; do
    for i in 1 2 3; do
      head -c 4096 /dev/urandom > /dev/tcp/127.0.0.1/"$port" || true
      printf 'GET / HTTP/1.0\r\n\r\n' > /dev/tcp/127.0.0.1/"$port" || true
    done
  done 2>/dev/null
  wait_until 20 shows "$http" 'retort_connections_failed_total [1-9]'
  wait_until 20 shows "$http" 'retort_worker\{.*name="connections_failed"\} [1-9]'
  wait_run || { cat run.err; show_logs; false; }
  [ "$(json run/summary.json weights_sha256)" = "$(json base/summary.json weights_sha256)" ]
  no grep -q "starting it again" run.err
}

@test "training that diverges ends with the reason and applies no step" {
  "$RETORT" run --config retort.yaml > /dev/null 2>&1
  cp -r run/student published
  # The last value of the file becomes NaN.
  printf '\xff\xff\xff\x7f' | dd of=published/model.safetensors bs=1 conv=notrunc 2>/dev/null \
    seek=$(($(stat -c %s published/model.safetensors) - 4))
  run "$RETORT" run --config retort.yaml --set run_dir=diverged \
      --set student.init_from=published --set tokenizer.model=published/tokenizer.model
  [ "$status" -eq 2 ] || { echo "$output"; false; }
  [[ "$output" == *"step 0 is not finite: training diverged"*"train.lr"* ]]
  no grep -q '"step"' diverged/metrics.jsonl
}

@test "another configuration in the same run directory is refused" {
  "$RETORT" label --config retort.yaml > /dev/null 2>&1
  run "$RETORT" run --config retort.yaml --set seed=99
  [ "$status" -ne 0 ]
  [[ "$output" == *"config"* ]]
}
