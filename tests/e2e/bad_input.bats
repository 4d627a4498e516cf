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
  ! grep -q "starting it again" run.err
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
  ! grep -q '"step"' diverged/metrics.jsonl
}

@test "another configuration in the same run directory is refused" {
  "$RETORT" label --config retort.yaml > /dev/null 2>&1
  run "$RETORT" run --config retort.yaml --set seed=99
  [ "$status" -ne 0 ]
  [[ "$output" == *"config"* ]]
}
