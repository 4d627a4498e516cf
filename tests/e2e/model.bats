#!/usr/bin/env bats
# What a shape costs, from a name, settings, a folder or a file; and what is in a file.

load helpers

TEACHER=$SOURCE/examples/arithmetic/teacher

setup() { make_folder; }
teardown() { drop_folder; }

get() { python3 -c 'import json,sys; r=json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

@test "a preset by name has its published parameters, and settings override it" {
  "$RETORT" model --preset t5-small > text
  grep -q 'all  *60,506,624' text
  grep -q 'speed here: an estimate' text
  "$RETORT" model --preset t5-small --no-measure --json > r.json
  [ "$(get 'r["parameters"]["all"]' < r.json)" = 60506624 ]
  [ "$(get '"speed_estimate" in r' < r.json)" = False ]
  "$RETORT" model --preset t5-small --set student.n_decoder_layers=2 --vocab 4000 --no-measure --json > r.json
  [ "$(get '(r["shape"]["n_layers"], r["shape"]["n_decoder_layers"], r["shape"]["n_vocab"])' < r.json)" = '(6, 2, 4000)' ]
  "$RETORT" model --presets | grep -q '^t5-large-nl36 '
  run "$RETORT" model --preset t5-smal
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean t5-small"* ]]
}

@test "settings, their folder and their files have one and the same shape" {
  "$RETORT" model "$TEACHER" --no-measure --json > folder.json
  "$RETORT" convert "$TEACHER" --dtype q8_0 --output t.gguf
  "$RETORT" model t.gguf --no-measure --json > file.json
  for key in '"shape"' '"parameters"' '"flops"' '"bytes"'; do
    [ "$(get "r[$key]" < folder.json)" = "$(get "r[$key]" < file.json)" ]
  done
  [ "$(get 'r["gguf"]["keys"]["general.architecture"], r["gguf"]["version"]' < file.json)" = "('llama', 3)" ]
  "$RETORT" model t.gguf --no-measure --tensors | grep -q 'blk.0.attn_q.weight .*Q8_0'
  write_config
  "$RETORT" model --config retort.yaml --no-measure --json > settings.json
  [ "$(get 'r["shape"]["d_model"], r["shape"]["n_vocab"], r["workload"]["sequences"]' < settings.json)" = '(32, 200, 2)' ]
}

@test "a run can be described by a preset alone" {
  write_config
  sed -i 's/^student:.*/student: {preset: llama-260k, d_model: 32, d_head: 4, seq_len_max: 192}/' retort.yaml
  "$RETORT" config print --config retort.yaml > resolved
  grep -q 'preset: *"\?llama-260k' resolved
  grep -q 'n_layers: 5' resolved
  grep -q 'd_model: 32' resolved
  "$RETORT" config print --config resolved | cmp - resolved
}

@test "layers that share weights and a factorised embedding train, export, answer and convert" {
  make_recorded 160
  write_config 20
  sed -i 's/^student:.*/student: {d_model: 32, n_layers: 4, layer_groups: 2, d_embed: 16, n_heads: 2, d_ff: 64, seq_len_max: 192}/' retort.yaml
  "$RETORT" run --config retort.yaml --json > run.json 2> run.err || { cat run.err >&2; show_logs; false; }
  "$RETORT" run --config retort.yaml --set run_dir=two --set launch.students=2 --set launch.servers=2 --json > two.json 2> two.err ||
    { cat two.err >&2; false; }
  [ "$(json run/summary.json weights_sha256)" = "$(json two/summary.json weights_sha256)" ]
  [ "$(json run/student/config.json model_type)" = retort_llama ]
  [ "$(json run/student/config.json layer_groups)" = 2 ]
  [ "$(json run/student/config.json embedding_size)" = 16 ]
  "$RETORT" model run/student --no-measure --json > r.json
  [ "$(get 'r["parameters"]["embedding"]' < r.json)" = $((200 * 16 + 16 * 32)) ]
  echo 'Ivan earns 11 dollars.' | "$RETORT" predict --model run/student | grep -q '"raw":"'
  run "$RETORT" export --run run --format gguf
  [ "$status" -ne 0 ]
  [[ "$output" == *"student.d_embed 0"* ]]
  [ ! -e run/student.gguf ]
  "$RETORT" convert run/student --output copy
  cmp copy/model.safetensors run/student/model.safetensors
}

@test "bad files and wrong use are named" {
  run "$RETORT" model nothing.gguf
  [[ "$output" == *"nothing.gguf: does not exist"* ]]
  printf 'GGUF\003\000\000\000' > cut.gguf
  run "$RETORT" model cut.gguf
  [ "$status" -eq 3 ]
  [[ "$output" == *"cut.gguf"* ]]
  run "$RETORT" model "$TEACHER" --preset t5-small
  [ "$status" -eq 2 ]
  mkdir folder
  echo '{"model_type": "bert"}' > folder/config.json
  run "$RETORT" model folder
  [[ "$output" == *"model_type is bert"* ]]
}
