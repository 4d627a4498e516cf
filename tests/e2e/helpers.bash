# What the end-to-end tests share: a small run of the real thing in a folder of its own.

RETORT=${RETORT:-${RT_BUILD_DIR:-build/release}/retort}
FAULT_TEACHER=${FAULT_TEACHER:-${RT_BUILD_DIR:-build/release}/fault-teacher}
PROBLEMS=${PROBLEMS:-${RT_BUILD_DIR:-build/release}/arithmetic-problems}
SOURCE=${RT_SOURCE_DIR:-$PWD}

# A test goes on after a failed `! command`, unless it is its last; `no command` ends it.
no() {
  if "$@"; then echo "not expected: $*" >&2; return 1; fi
}

# A folder for this test; everything it starts is stopped by its process id afterwards.
make_folder() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/retort-e2e.XXXXXX")
  cd "$folder" || return 1
}

drop_folder() {
  stop_run
  cd / && rm -rf "$folder"
}

# Problems with recorded worked answers: recorded.jsonl {"question","answer","text"}.
make_recorded() { # make_recorded N
  "$PROBLEMS" worked "$1" 7 |
    sed -E 's/^\{"id":"[0-9a-f]+","input":("[^"]*"),"label":"([^"]*)","rationale":"([^"]*)".*/{"question":\1,"answer":"\2","text":"\3 # \2\\n\\nQ: run on"}/' > recorded.jsonl
}

# A small configuration; more lines may be appended by the test.
write_config() { # write_config [STEPS]
  cat > retort.yaml <<YAML
name: small
run_dir: run
seed: 3
task: {name: arithmetic, answer: number, markers: ["#"], stop_marks: ["\n\nQ:"]}
corpus: {files: [recorded.jsonl], input: "{question}", gold: "{answer}"}
teacher: {backend: recorded, files: [recorded.jsonl], match: input, match_field: "{question}", text_field: "{text}"}
label: {shard_size: 20, lease_ms: 4000}
tokenizer: {kind: bpe, vocab_size: 200, split_digits: true, byte_fallback: false}
student: {d_model: 32, n_layers: 2, n_heads: 2, d_ff: 64, seq_len_max: 192, dropout: 0.1}
train:
  preset: rationale-first
  steps: ${1:-40}
  chunk_size: 100
  micro_batches: 3
  micro_batch_tokens: 400
  records_per_step: 12
  lr: 0.003
  warmup_steps: 5
  valid_share: 0.1
  eval_every: 10
eval: {files: [test.jsonl], input: "{question}", gold: "{answer}", max_new_tokens: 48, batch: 20}
net: {heartbeat_ms: 200, dead_after_ms: 2500}
launch: {teachers: 1, students: 1, servers: 1}
YAML
  "$PROBLEMS" test 20 > test.jsonl
}

# A teacher over HTTP that knows recorded.jsonl; drop_folder does not stop it.
start_teacher() { # start_teacher SHARE [KEY]: sets BASE_URL; requests.jsonl holds what it was asked
  "$FAULT_TEACHER" recorded.jsonl "$@" --requests requests.jsonl > teacher.out 2> teacher.err 3>&- &
  teacher_pid=$!
  wait_until 10 test -s teacher.out
  export BASE_URL; BASE_URL="$(head -n 1 teacher.out)/v1"
}

stop_teacher() { # afterwards teacher.out ends with the number of requests
  [ -n "${teacher_pid:-}" ] || return 0
  kill -TERM "$teacher_pid" 2>/dev/null
  wait "$teacher_pid" 2>/dev/null
  teacher_pid=
}

requests() { sed -n '$s/ requests//p' teacher.out; }

# A port of those that the kernel gives to nobody by itself, so that it is free a moment later, too.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port"; return; }
  done
}

json() { # json FILE KEY: a top-level value, without jq
  sed -nE "s/^ *\"$2\": *\"?([^\",]*)\"?,?\$/\1/p" "$1" | head -n 1
}

start_run() { # start_run ARGS...: in the background; `wait_run` gives its exit code
  "$RETORT" run --config retort.yaml "$@" > run.out 2> run.err 3>&- &
  run_pid=$!
}

wait_run() { wait "$run_pid"; run_code=$?; run_pid=; return "$run_code"; }

stop_run() {
  [ -n "${run_pid:-}" ] || return 0
  kill -TERM "$run_pid" 2>/dev/null
  for _ in $(seq 100); do kill -0 "$run_pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$run_pid" 2>/dev/null
  wait "$run_pid" 2>/dev/null
  run_pid=
  return 0
}

pid_of() { # pid_of NAME: of a child of the launcher
  tr -d ' \n' < "${2:-run}/launcher.json" | sed -nE "s/.*\"name\":\"$1\",\"pid\":([0-9]+).*/\1/p"
}

stat_of() { # stat_of KEY: a number of /api/stats, or nothing
  "$RETORT" stats --config retort.yaml --json "${@:2}" 2>/dev/null |
    tr -d ' \n' | sed -nE "s/.*\"$1\":([0-9.]+).*/\1/p"
}

wait_until() { # wait_until SECONDS COMMAND...
  local tries=$(($1 * 10)); shift
  for _ in $(seq "$tries"); do "$@" && return 0; sleep 0.1; done
  echo "still not: $*" >&2
  return 1
}

at_least() { # at_least KEY N: the stat has reached N
  local v; v=$(stat_of "$1"); [ -n "$v" ] && [ "${v%.*}" -ge "$2" ]
}

show_logs() { tail -n 5 run/logs/*.log run.err 2>/dev/null >&2; return 0; }
