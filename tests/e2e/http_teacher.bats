#!/usr/bin/env bats
# A run whose teacher is another process behind HTTP: `retort serve` with the quick start's teacher.

load helpers

setup() {
  make_folder
  "$PROBLEMS" corpus 120 > corpus.jsonl
  write_config 20
  "$RETORT" serve --model "$SOURCE/examples/arithmetic/teacher" --port 0 --address-file address \
    > serve.out 2> serve.err 3>&- &
  serve_pid=$!
  wait_until 20 test -s address
  site=$(cat address)
  sed -i -e 's|^corpus:.*|corpus: {files: [corpus.jsonl], input: "{question}"}|' \
         -e "s|^teacher:.*|teacher: {backend: openai, base_url: \"$site/v1\", model: teacher, temperature: 0, max_new_tokens: 80}|" \
         -e 's|^task:.*|task: {name: arithmetic, answer: number, markers: ["#"]}|' \
         -e 's|chunk_size: 100|chunk_size: 50|' retort.yaml
  cat >> retort.yaml <<'YAML'
prompt: {template: "{input}"}
cache: {dir: cache}
limits: {price_input: 1, price_output: 2, budget: 1}
YAML
}

teardown() {
  kill "$serve_pid" 2>/dev/null && wait "$serve_pid" 2>/dev/null
  drop_folder
}

n_requests() {
  curl -sS "$site/metrics" | sed -nE 's/^retort_serve_requests_total\{route="\/v1\/chat\/completions",code="200"\} ([0-9]+)$/\1/p'
}

@test "every row is accounted for, and a second run over the same corpus asks for nothing" {
  "$RETORT" run --config retort.yaml > run.out 2> run.err || { cat run.err; show_logs; false; }
  [ "$(json run/summary.json labelled)" -eq 120 ]
  [ "$(n_requests)" -eq 120 ]
  "$RETORT" audit --config retort.yaml > /dev/null
  awk -v spent="$(json run/summary.json spent)" 'BEGIN {exit !(spent > 0 && spent < 1)}'
  "$RETORT" run --config retort.yaml --set run_dir=again > again.out 2>&1 || { cat again.out; false; }
  [ "$(n_requests)" -eq 120 ]
  [ "$(json again/summary.json weights_sha256)" = "$(json run/summary.json weights_sha256)" ]
  [ "$(json again/summary.json spent)" = 0.0 ]
}

@test "a budget that is too small is never exceeded, ends the labelling and says so" {
  run "$RETORT" label --config retort.yaml --set limits.budget=0.002
  echo "$status $output"
  [[ "$output" == *"budget"* ]]
  awk -v spent="$(json run/summary.json spent)" 'BEGIN {exit !(spent > 0 && spent <= 0.002)}'
  [ "$(json run/summary.json labelled)" -lt 120 ]
  "$RETORT" audit --config retort.yaml > /dev/null
  # With more money it goes on, and pays for no row twice.
  "$RETORT" label --config retort.yaml --set limits.budget=1 > more.out 2>&1 || { cat more.out; false; }
  [ "$(json run/summary.json labelled)" -eq 120 ]
  [ "$(n_requests)" -eq 120 ]
}
