#!/usr/bin/env bats
# The second architecture goes the whole way: a T5 student through run, export, predict, serve, and
# back in as a native teacher. Its weights do not depend on the number of workers either.

load helpers

t5="student: {arch: t5, d_model: 32, n_layers: 2, n_decoder_layers: 1, n_heads: 2, d_ff: 64, tied: false, seq_len_max: 192, dropout: 0.1}"

setup_file() {
  export shared=$(mktemp -d "${TMPDIR:-/tmp}/retort-e2e.XXXXXX")
  cd "$shared"
  make_recorded 240
  write_config 60
  sed -i "s|^student:.*|$t5|" retort.yaml
  "$RETORT" run --config retort.yaml --set run_dir=base --json > base.json 2> base.err ||
    { cat base.err base/logs/*.log >&2; return 1; }
}
teardown_file() { rm -rf "$shared"; }

setup() { make_folder; cp "$shared/retort.yaml" "$shared/recorded.jsonl" "$shared/test.jsonl" .; }
teardown() {
  [ -z "${server:-}" ] || { kill -TERM "$server" 2>/dev/null; wait "$server" || true; }
  drop_folder
}

@test "two students and two shards give the student of one" {
  start_run --set launch.students=2 --set launch.servers=2
  wait_run || { cat run.err >&2; show_logs; false; }
  for key in weights_sha256 dataset_sha256; do
    [ "$(json run/summary.json $key)" = "$(json "$shared/base/summary.json" $key)" ]
  done
}

@test "version 1.0 differs in its layers and is trained and exported too" {
  sed -i 's|tied: false|tied: true, ff_act: relu|' retort.yaml
  "$RETORT" run --config retort.yaml --set train.steps=10 --json > run.json 2> run.err ||
    { cat run.err >&2; show_logs; false; }
  [ "$(json run/student/config.json feed_forward_proj)" = relu ]
  [ "$(json run/student/config.json tie_word_embeddings)" = true ]
  grep -q lm_head "$shared/base/student/model.safetensors"
  run grep -q lm_head run/student/model.safetensors
  [ "$status" -eq 1 ]
}

@test "the exported folder is one that loaders of T5 know, and answers" {
  student="$shared/base/student"
  [ "$(json "$student/config.json" model_type)" = t5 ]
  [ "$(json "$student/tokenizer_config.json" tokenizer_class)" = T5Tokenizer ]
  [ -f "$student/spiece.model" ] && [ ! -f "$student/tokenizer.model" ]
  "$RETORT" export --config "$shared/retort.yaml" --run "$shared/base" --output again > export.json
  cmp again/model.safetensors "$student/model.safetensors"
  sed -E 's/.*"question":"([^"]*)".*/\1/' test.jsonl > inputs.txt
  "$RETORT" predict --model "$student" < inputs.txt > answers.jsonl
  [ "$(wc -l < answers.jsonl)" -eq 20 ]
  grep -q '"raw":"[^"]' answers.jsonl
}

@test "its files keep the rules of their formats, in a folder and as GGUF" {
  python3 "$SOURCE/tests/tools/check_safetensors.py" "$shared/base/student"
  "$RETORT" export --run "$shared/base" --format gguf --dtype q8_0 --output s.gguf
  python3 "$SOURCE/tests/tools/check_gguf.py" s.gguf "$shared/base/student"
  run "$RETORT" convert s.gguf --output back
  [ "$status" -ne 0 ]
  [[ "$output" == *"general.architecture is not llama"* ]]
}

@test "the server gives what predict gives, many at a time too" {
  sed -nE 's/.*"question":"([^"]*)".*/\1/p' test.jsonl | head -n 4 > inputs.txt
  "$RETORT" predict --model "$shared/base/student" --max-new-tokens 24 < inputs.txt > answers.jsonl
  "$RETORT" serve --model "$shared/base/student" --port 0 --address-file address > serve.out 2> serve.err 3>&- &
  server=$!
  wait_until 30 test -s address || { cat serve.err; false; }
  while read -r question; do
    echo "{\"messages\":[{\"role\":\"user\",\"content\":\"$question\"}],\"max_tokens\":24}"
  done < inputs.txt > bodies.txt
  for i in 1 2 3 4; do
    sed -n "${i}p" bodies.txt | curl -fsS --max-time 60 "$(cat address)/v1/chat/completions" \
      -H 'content-type: application/json' -d @- > "served-$i.json" &
    asked[i]=$!
  done
  for i in 1 2 3 4; do
    wait "${asked[i]}"
    python3 - "$i" <<'PY'
import json, sys
i = int(sys.argv[1])
served = json.load(open(f"served-{i}.json"))["choices"][0]["message"]["content"]
raw = json.loads(open("answers.jsonl").read().splitlines()[i - 1])["raw"]
assert raw and served == raw, (served, raw)
PY
  done
}

@test "a T5 labels as a native teacher" {
  sed -i -e "s|^teacher:.*|teacher: {backend: native, model: $shared/base/student, max_new_tokens: 40}|" \
         -e 's|answer: number, markers: \["#"\]|answer: text, markers: ["="]|' \
         -e 's|^student:.*|student: {d_model: 32, n_layers: 1, n_heads: 2, d_ff: 64, seq_len_max: 192}|' retort.yaml
  echo 'prompt: {template: "solve: {input}\n"}' >> retort.yaml
  for n in 1 2; do
    "$RETORT" label --config retort.yaml --set run_dir="by$n" --set launch.teachers="$n" \
      --set label.smoke_rejected_share_max=1 > "by$n.out" 2> "by$n.err" ||
      { cat "by$n.err" >&2; tail -n 5 "by$n"/logs/*.log >&2; false; }
  done
  [ "$(wc -l < by1/dataset/labels.jsonl)" -gt 0 ]
  cmp <(sort by1/dataset/labels.jsonl) <(sort by2/dataset/labels.jsonl)
}

@test "training goes on from a published T5; under student.arch llama it is refused with the fix" {
  published=(--set student.init_from="$shared/base/student" --set tokenizer.model="$shared/base/student/spiece.model")
  "$RETORT" run --config retort.yaml --set train.steps=5 "${published[@]}" --json > run.json 2> run.err ||
    { cat run.err; show_logs; false; }
  first=$(grep -m 1 '"kind":"step"' run/metrics.jsonl | sed -E 's/.*"loss":([0-9.]+).*/\1/')
  random=$(grep -m 1 '"kind":"step"' "$shared/base/metrics.jsonl" | sed -E 's/.*"loss":([0-9.]+).*/\1/')
  awk -v a="$first" -v b="$random" 'BEGIN {exit !(a < 0.8 * b)}' || { echo "$first, from random $random"; false; }
  run "$RETORT" run --config retort.yaml --set run_dir=other --set student.arch=llama "${published[@]}"
  [ "$status" -ne 0 ]
  echo "$output" | grep -q 'set student.arch to t5' || { echo "$output"; show_logs; false; }
}
