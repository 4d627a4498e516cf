#!/usr/bin/env bats
# What a run would ask and cost, before anything is started.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

of() { python3 -c 'import json, sys; d = json.load(open("dry.json")); print(eval(sys.argv[1]))' "$1"; }

make_corpus() { # make_corpus N
  "$PROBLEMS" worked "$1" 7 | sed -E 's/^\{"id":"[0-9a-f]+","input":("[^"]*"),"label":"([^"]*)".*/{"input":\1,"answer":"\2"}/' > corpus.jsonl
}

@test "prompts are shown as the teacher gets them, counted by its tokenizer" {
  "$RETORT" init . --name sums --task number --teacher native --model "$SOURCE/examples/arithmetic/teacher" > init.out
  make_corpus 40
  run "$RETORT" run --dry-run --show 2
  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [[ "$output" == *"40 to be asked about"* ]] || { echo "$output"; false; }
  [[ "$output" == *"  | Q: There are 15 trees"* ]]          # a worked example
  [[ "$output" == *"row 2 "* ]]
  [[ "$output" != *"row 3 "* ]]
  [[ "$output" == *"tokenizer"* ]]
  [ ! -e runs/sums/logs ]                                   # nothing was started
  [ ! -e runs/sums/config.yaml ]                            # nor was a run begun
}

@test "the price follows from the rows that are left, the tokens and the price table" {
  "$RETORT" init . --name sums --task number --teacher native --model "$SOURCE/examples/arithmetic/teacher" > init.out
  make_corpus 40
  prices="--set limits.price_input=1.5 --set limits.price_output=6"
  # shellcheck disable=SC2086
  "$RETORT" label --dry-run --json $prices > dry.json
  [ "$(of 'd["pending"]')" -eq 40 ]
  [ "$(of 'len(d["shown"])')" -eq 3 ]
  [ "$(of 'd["projection"]["counted_by"]')" = tokenizer ]
  [ "$(of 'd["projection"]["completion_tokens_max"] == 40 * 256 * 2')" = True ]
  [ "$(of 'abs(d["projection"]["cost"] * 1e6 - 1.5 * d["projection"]["prompt_tokens"] - 6 * d["projection"]["completion_tokens"]) < 10')" = True ]
  # A larger corpus is sampled, and comes to the same a row.
  cost=$(of 'd["projection"]["cost"] / 40')
  make_corpus 9000
  # shellcheck disable=SC2086
  "$RETORT" label --dry-run --json $prices --set run_dir=large > dry.json
  n=$(of 'd["pending"]'); [ "$n" -gt 4000 ]
  [ "$(of "abs(d['projection']['cost'] / $n / $cost - 1) < 0.1")" = True ] || { cat dry.json; false; }
  # shellcheck disable=SC2086
  run "$RETORT" label --dry-run $prices --set limits.budget=0.0001
  [[ "$output" == *"it will not do"* ]] || { echo "$output"; false; }
}

@test "a recorded teacher is asked at once, and what is labelled is not asked again" {
  make_recorded 60
  printf '{"question":"What is missing?","answer":"1","text":"no marker here"}\n' | cat - recorded.jsonl > more.jsonl
  mv more.jsonl recorded.jsonl
  write_config
  "$RETORT" run --config retort.yaml --dry-run --json > dry.json
  [ "$(of 'd["pending"]')" -eq 61 ]
  [ "$(of 'd["shown"][0]["reason"]')" = no_marker ]
  [ "$(of '"label" in d["shown"][1] and "rationale" in d["shown"][1]')" = True ]
  [ "$(of '"projection" in d')" = False ]
  "$RETORT" label --config retort.yaml > label.out 2>&1 || { cat label.out; false; }
  "$RETORT" run --config retort.yaml --dry-run --json > dry.json
  [ "$(of 'd["labelled"], d["rejected"], d["pending"]')" = "(60, 1, 0)" ]
}

@test "what is wrong is said as in a run" {
  make_recorded 5
  write_config
  run "$RETORT" run --config retort.yaml --dry-run --set 'corpus.files=["nothing.jsonl"]'
  [ "$status" -eq 2 ]
  [[ "$output" == *"nothing.jsonl"* ]]
  run "$RETORT" run --config retort.yaml --dry-run --set prompt.exemplars=nothing.jsonl
  [ "$status" -eq 2 ]
  [[ "$output" == *"nothing.jsonl"* ]]
}

@test "a second teacher is priced for none, some and all of the rows, and is not asked" {
  make_recorded 60
  printf '{"question":"What is missing?","answer":"1","text":"no marker here"}\n' | cat - recorded.jsonl > more.jsonl
  mv more.jsonl recorded.jsonl
  write_config
  # Port 9 answers nobody: a question sent there would hold the dry run up.
  cat > strong.yaml <<'YAML'
teacher: {backend: openai, name: large, base_url: "http://127.0.0.1:9/v1", model: m, max_new_tokens: 100, attempts_max: 1}
limits: {price_input: 3, price_output: 15}
YAML
  both="--set escalate.config=strong.yaml --set limits.price_input=1"
  # shellcheck disable=SC2086
  timeout 20 "$RETORT" run --config retort.yaml --dry-run --json $both > dry.json
  [ "$(of '[b["share"] for b in d["projection"]["second"]["both"]]')" = "[0.0, 0.2, 1.0]" ]
  [ "$(of '[b["completion_tokens"] for b in d["projection"]["second"]["both"]]')" = "[0, 1300, 6100]" ]
  [ "$(of '[b["cost"] == (3 * b["prompt_tokens"] + 15 * b["completion_tokens"]) / 1e6 for b in d["projection"]["second"]["both"]]')" = "[True, True, True]" ] || { cat dry.json; false; }
  [ "$(of 'd["projection"]["cost"] == d["projection"]["second"]["both"][1]["cost"]')" = True ]
  [ "$(of 'd["projection"]["cost_max"] == d["projection"]["second"]["both"][2]["cost_max"]')" = True ]
  [ "$(of 'd["shown"][0]["reason"]')" = no_marker ]
  # shellcheck disable=SC2086
  run "$RETORT" run --config retort.yaml --dry-run $both --set escalate.expected_share=0.05 --set limits.budget=0.0001
  [[ "$output" == *"   0 % about 0.0000 USD"* ]] || { echo "$output"; false; }
  [[ "$output" == *"   5 % about "*"assumed: escalate.expected_share"* ]] || { echo "$output"; false; }
  [[ "$output" == *" 100 % about "* ]]
  [[ "$output" == *"it will not do"* ]]
  # Two paid teachers add up.
  sed -i 's/^teacher:.*/teacher: {backend: openai, base_url: "http:\/\/127.0.0.1:9\/v1", model: small}/' retort.yaml
  # shellcheck disable=SC2086
  "$RETORT" run --config retort.yaml --dry-run --json $both > dry.json
  [ "$(of '(lambda b, p: abs(b[0]["cost"] - p["prompt_tokens"] / 1e6) < 1e-9 and b[0]["cost"] < b[1]["cost"] < b[2]["cost"])(d["projection"]["second"]["both"], d["projection"])')" = True ] || { cat dry.json; false; }
}

@test "rows that the teacher is asked about for the score are priced too, in a run and not in labelling" {
  make_recorded 60
  write_config
  sed -i 's/^teacher:.*/teacher: {backend: openai, base_url: "http:\/\/127.0.0.1:9\/v1", model: m, max_new_tokens: 100, attempts_max: 1}/' retort.yaml
  priced="--set limits.price_input=3 --set limits.price_output=15"
  # shellcheck disable=SC2086
  "$RETORT" run --config retort.yaml --dry-run --json $priced > dry.json
  alone=$(of 'd["projection"]["cost"]')
  [ "$(of '"evaluation" in d["projection"]')" = False ]
  # shellcheck disable=SC2086
  timeout 20 "$RETORT" run --config retort.yaml --dry-run --json $priced --set eval.teacher=true --set eval.rows_max=7 > dry.json
  [ "$(of 'd["projection"]["evaluation"]["rows"]')" -eq 7 ] || { cat dry.json; false; }
  [ "$(of 'd["projection"]["evaluation"]["completion_tokens_max"]')" -eq 700 ]
  [ "$(of '(lambda e: e["prompt_tokens"] > 70 and abs(e["cost"] - (3 * e["prompt_tokens"] + 15 * e["completion_tokens"]) / 1e6) < 1e-9)(d["projection"]["evaluation"])')" = True ]
  [ "$(of "abs(d['projection']['cost'] - $alone - d['projection']['evaluation']['cost']) < 1e-9")" = True ] || { cat dry.json; false; }
  # shellcheck disable=SC2086
  run "$RETORT" run --config retort.yaml --dry-run $priced --set eval.teacher=true --set eval.rows_max=7
  [[ "$output" == *"evaluation  7 rows of eval.files, because of eval.teacher: about 0.0"* ]] || { echo "$output"; false; }
  # shellcheck disable=SC2086
  "$RETORT" label --config retort.yaml --dry-run --json $priced --set eval.teacher=true > dry.json
  [ "$(of "d['projection']['cost'] == $alone")" = True ]
}
