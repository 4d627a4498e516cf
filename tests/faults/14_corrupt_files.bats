#!/usr/bin/env bats
# Row 14: a flipped byte in each region of each file of a run that goes on later. It is refused with the
# file named, or made anew, or an older good checkpoint takes its place; it never decides anything.
# docs/reliability.md

load helpers

setup_file() {
  make_base
  # A run that was interrupted in the middle, with checkpoints.
  cd "$BATS_FILE_TMPDIR"
  cp "$base/retort.yaml" "$base/recorded.jsonl" "$base/test.jsonl" .
  sed -i 's/^run_dir: .*/run_dir: run/' retort.yaml
  start_run --set train.checkpoints_kept=9
  wait_until 60 at_least checkpoint 30
  kill -INT "$run_pid"
  wait_run || true
  mv run half
  newest=$(ls half/checkpoints | grep step- | sort -V | tail -n 1)
  export newest
}

setup() {
  make_folder
  cp "$base/retort.yaml" "$base/recorded.jsonl" "$base/test.jsonl" .
  mkdir faults
  extra_pids=()
  n_cases=0
}

# flip FILE SHARE: one bit of the byte at this share of the file
flip() {
  python3 - "$1" "$2" <<'PY'
import os, sys
path, share = sys.argv[1], float(sys.argv[2])
at = min(int(os.path.getsize(path) * share), os.path.getsize(path) - 1)
with open(path, "r+b") as f:
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 0x01]))
PY
}

# goes_on FILE: the run ends as the undisturbed one, or says which file is bad
goes_on() {
  local code=0
  timeout "${FAULTS_RUN_MAX_S:-240}" "$RETORT" run --config retort.yaml > run.out 2> run.err || code=$?
  if [ "$code" -eq 0 ]; then
    for key in weights_sha256 dataset_sha256 best_version; do
      [ "$(json run/summary.json $key)" = "$(json "$base/run/summary.json" $key)" ] ||
        { echo "$1: $key differs, and nobody said a word" >&2; return 1; }
    done
    echo "$1: same student"
  else
    { [ "$code" -eq 3 ] || [ "$code" -eq 2 ]; } || { echo "$1: exit code $code" >&2; cat run.err >&2; return 1; }
    grep -q "$(basename "$1")" run.err || { echo "$1 is not named:" >&2; cat run.err >&2; return 1; }
    echo "$1: refused"
  fi
}

# each SHARES FILE...: patterns inside the run folder
each() {
  local share pattern file shares=$1
  shift
  for pattern in "$@"; do
    for share in $shares; do
      rm -rf run
      cp -a "$BATS_FILE_TMPDIR/half" run
      file=$(ls run/$pattern | tail -n 1)
      flip "$file" "$share"
      echo "== $file at $share"
      goes_on "$file"
      n_cases=$((n_cases + 1))
    done
  done
}

@test "14: the newest checkpoint" {
  each "0.001 0.5 0.999" "checkpoints/$newest/model-*"
  each "0.5" "checkpoints/$newest/optim-*"
  judge 14 "checkpoint" --no-run --figure kills="$n_cases"
}

@test "14: the newest checkpoint's manifest" {
  each "0.01 0.06 0.12 0.2 0.35 0.5 0.8" "checkpoints/$newest/manifest.json"
  judge 14 "manifest" --no-run --figure kills="$n_cases"
}

@test "14: the dataset" {
  each "0 0.3 0.6 0.999" 'dataset/labels.jsonl'
  judge 14 "dataset" --no-run --figure kills="$n_cases"
}

@test "14: the plan" {
  each "0.05 0.3 0.6 0.95 0.9999" 'plan.jsonl'
  judge 14 "plan" --no-run --figure kills="$n_cases"
}

@test "14: tokens and tokenizer" {
  each "0.01 0.5 0.99" 'tokens.bin'
  each "0.01 0.5 0.99" 'tokenizer.model'
  judge 14 "tokens, tokenizer" --no-run --figure kills="$n_cases"
}

@test "14: the scores so far" {
  # A digit of a loss may turn into another digit.
  each "0.1 0.5 0.9" 'metrics.jsonl'
  rm -rf run; cp -a "$BATS_FILE_TMPDIR/half" run
  sed -i -E '/"kind":"evaluation","version":20,/ s/"sum":[0-9]+\./"sum":1./' run/metrics.jsonl
  goes_on run/metrics.jsonl
  judge 14 "scores" --no-run --figure kills="$((n_cases + 1))"
}

@test "14: the corpus manifest" {
  each "0.05 0.5 0.95" 'corpus/*'
  judge 14 "corpus manifest" --no-run --figure kills="$n_cases"
}

@test "14: the exported student is refused when a bit of it is turned" {
  local code=0
  mkdir student
  cp -a "$base/run/student/." student
  "$RETORT" predict --model student < "$base/test.jsonl" > /dev/null
  flip student/model.safetensors 0.001
  "$RETORT" predict --model student < "$base/test.jsonl" > out.txt 2>&1 || code=$?
  [ "$code" -ne 0 ]
  grep -q "model.safetensors" out.txt
  judge 14 "header of the student" --no-run --figure kills=1
}
