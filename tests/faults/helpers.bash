# What the fault tests share. A test starts a run with faults in it, waits for its end, and has it
# judged from outside (judge.py). BATS runs them through ./dev faults; by hand:
#
#     RT_SOURCE_DIR=$PWD RT_BUILD_DIR=$PWD/build/faults bats -f NAME tests/faults/01_teacher.bats

load ../e2e/helpers

FAULTS=$SOURCE/tests/faults
TCP_PROXY=${RT_BUILD_DIR:-build/faults}/tcp-proxy
DISK_CALLS=${RT_BUILD_DIR:-build/faults}/disk-calls.so
CLOCK_JUMP=${RT_BUILD_DIR:-build/faults}/clock-jump.so
export RETORT
CLUSTER=(--set launch.teachers=2 --set launch.students=2 --set launch.servers=2)

# Inputs and the undisturbed run; made once for all files when FAULTS_BASE names a folder.
make_base() {
  base=${FAULTS_BASE:-$BATS_FILE_TMPDIR/base}
  export base
  mkdir -p "$base"
  exec 9> "$base/lock"
  flock 9
  [ -s "$base/run/summary.json" ] || (
    cd "$base" && make_inputs &&
      "$RETORT" run --config retort.yaml --set launch.teachers=1 --json > base.json 2> base.err ||
      { cat base.err run/logs/*.log >&2; exit 1; }
  )
  flock -u 9
  exec 9>&-
}

make_inputs() {
  make_recorded 240
  write_config "${FAULTS_STEPS:-60}"
  sed -i -e 's/^net: .*/net: {heartbeat_ms: 200, dead_after_ms: 2500, request_timeout_ms: 1500}/' \
    -e 's/^launch: .*/launch: {teachers: 1, students: 1, servers: 1, restarts_max: 1000}/' \
    -e 's/^label: .*/label: {shard_size: 20, lease_ms: 3000}/' retort.yaml
  echo 'queue: {labels_max: 64, batches_max: 64, claim_ms: 2000}' >> retort.yaml
}

setup_file() { make_base; }

setup() {
  make_folder
  cp "$base/retort.yaml" "$base/recorded.jsonl" "$base/test.jsonl" .
  mkdir faults
  export RETORT_FAULTS_DIR=$folder/faults
  unset RETORT_FAULTS
  extra_pids=()
}

# A test that ended before it was judged is red in the table all the same.
note_failure() {
  local row=${BATS_TEST_FILENAME##*/}
  show_logs
  [ -z "${FAULTS_RESULTS:-}" ] || printf '{"row": %d, "case": "%s", "kills": 0, "recovery_s": 0, "repeats": 0, "rewinds": 0, "ok": false}\n' \
    "$((10#${row%%_*}))" "not judged" >> "$FAULTS_RESULTS"
}

teardown() {
  [ -n "${BATS_TEST_COMPLETED:-}" ] || note_failure
  stop_watch
  local pid
  for pid in "${extra_pids[@]}"; do kill -CONT "$pid" 2>/dev/null; kill -KILL "$pid" 2>/dev/null; done
  drop_folder
}

start_watch() { python3 "$FAULTS/watch.py" "${1:-run}" watch.json 3>&- & watch_pid=$!; }

stop_watch() {
  [ -n "${watch_pid:-}" ] || return 0
  kill -TERM "$watch_pid" 2>/dev/null
  wait "$watch_pid" 2>/dev/null || true
  watch_pid=
}

begin() { # begin [RULES] [ARGS...]: a run with these faults, watched
  export RETORT_FAULTS=$1
  start_run "${@:2}"
  unset RETORT_FAULTS
  start_watch
}

run_is_over() { ! kill -0 "$run_pid" 2>/dev/null; }

finish() { # the run has to end, and well
  wait_until "${FAULTS_RUN_MAX_S:-240}" run_is_over || return 1
  wait_run || { echo "the run ended with $run_code" >&2; cat run.err >&2; return 1; }
  stop_watch
}

judge() { # judge ROW CASE [ARGS...]
  python3 "$FAULTS/judge.py" --row "$1" --case "$2" "${@:3}"
}

judge_same() { judge "$1" "$2" --base "$base/run/summary.json" "${@:3}"; }

# The commonest shape: one fault, one cluster, the student of the undisturbed run.
survives() { # survives ROW CASE RULES STRIKES [ARGS...]
  begin "$3" "${CLUSTER[@]}" "${@:5}"
  finish
  judge_same "$1" "$2" --strikes "$4"
}

struck() { [ -n "$(find faults -name "$1" 2>/dev/null)" ]; } # struck PATTERN: has a fault struck?

problem_named() { # problem_named REGEX: stats name it now
  "$RETORT" stats --config retort.yaml --json 2>/dev/null | grep -E "\"problem\": *\"[^\"]*($1)"
}

no_problem() { "$RETORT" stats --config retort.yaml --json 2>/dev/null | grep -qE '"problem": *""'; }

start_extra() { # start_extra FILE COMMAND...: extra_pid; stopped after the test
  local out=$1; shift
  "$@" > "$out" 2>&1 3>&- &
  extra_pid=$!
  extra_pids+=("$extra_pid")
}

# ---- faults from outside

now_ms() { date +%s%3N; }

note_strike() { # note_strike NAME: as a fault point would
  local k=1
  while [ -e "faults/$1.$k" ]; do k=$((k + 1)); done
  echo "0 $(now_ms)" > "faults/$1.$k"
}

is_alive() { local pid; pid=$(pid_of "$1"); [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }

strike_kill() { # strike_kill NAME: kill -9 of a child of the launcher, which may be about to start it again
  wait_until 10 is_alive "$1" || return 1
  kill -KILL "$(pid_of "$1")" && note_strike "$1"
}

kill_all() { # everything of the run at once, the launcher first
  local pids
  pids=$(tr -d ' \n' < run/launcher.json | grep -o '"pid":[0-9]*' | cut -d: -f2)
  kill -KILL $pids 2>/dev/null || true
  note_strike everything
  wait_run || true
}

log_has() { # log_has FILE REGEX
  grep -qE "$2" "run/logs/$1.log"
}

struck_pid() { # struck_pid POINT: of the process that the first strike hit
  cut -d' ' -f1 "faults/$1.1"
}

# ---- a Redis of the test's own, at unix:$folder/redis.sock

start_redis() { # start_redis [ARGS...]: redis_pid
  mkdir -p redis
  redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder/redis" --save '' --appendonly no \
    --maxmemory-policy noeviction "$@" > redis.out 2>&1 3>&- &
  redis_pid=$!
  extra_pids+=("$redis_pid")
  wait_until 20 redis_answers
}

redis_answers() { redis-cli -s "$folder/redis.sock" PING 2>/dev/null | grep -qE "PONG|NOAUTH"; }
redis() { redis-cli -s "$folder/redis.sock" "$@"; }

OWN_REDIS() { echo "queue.url=unix:$folder/redis.sock"; }

examples() { # examples STATE N: at least so many are in this state
  local n; n=$("$RETORT" stats --config retort.yaml --metrics 2>/dev/null |
    sed -nE "s/^retort_examples\{state=\"$1\"\} ([0-9]+)/\1/p")
  [ -n "$n" ] && [ "$n" -ge "$2" ]
}
