#!/usr/bin/env bats
# Row 5: kill -9 of everything at once, started again in any order. docs/reliability.md

load helpers

@test "5: everything dies three times, at random moments" {
  local at
  begin "" "${CLUSTER[@]}"
  for at in 3 17 41; do
    wait_until 60 at_least step $((at + RANDOM % 8))
    kill_all
    start_run "${CLUSTER[@]}"
  done
  finish
  judge_same 5 "at random moments" --strikes 3
}

@test "5: everything dies while rows are being labelled" {
  begin "teacher.before_request:delay=300:1:0" "${CLUSTER[@]}"
  wait_until 60 examples labelled 60
  kill_all
  start_run "${CLUSTER[@]}"
  finish
  judge_same 5 "while labelling" --strikes 2
}

# Single processes, as a cluster starts them. start_role NAME ARGS...
start_role() {
  local role=${1%%-*} args=()
  case "$role" in
    redis) start_redis; return ;;
    coordinator) ;;
    server) args=(--shard "${1#*-}") ;;
    *) args=(--name "$1") ;;
  esac
  start_extra "$1.out" "$RETORT" "$role" --config roles.yaml "${args[@]}"
  echo "$extra_pid" > "$1.pid"
}

@test "5: single processes, killed at once and started in another order each time" {
  local order one at
  sed -e '/^launch:/d' -e '/^net:/d' -e '/^queue:/d' retort.yaml > roles.yaml
  cat >> roles.yaml <<YAML
net: {heartbeat_ms: 200, dead_after_ms: 2500, request_timeout_ms: 1500, coordinator: "ipc://$folder/c.sock", http: "127.0.0.1:$(free_port)"}
queue: {url: "unix:$folder/redis.sock", labels_max: 64, batches_max: 64, claim_ms: 2000}
launch: {servers: 2}
YAML
  start_watch
  # Slow enough not to be over when it is killed: a coordinator that finds all done ends before anybody came.
  export RETORT_FAULTS=student.after_read:delay=60:1:0
  for at in 5 25 45 0; do
    order=$(printf '%s\n' redis coordinator server-0 server-1 student-a student-b teacher-a | shuf | tr '\n' ' ')
    echo "order: $order"
    for one in $order; do start_role "$one"; done
    [ "$at" -gt 0 ] || break
    wait_until 60 at_least step "$at"
    kill -KILL "${extra_pids[@]}" 2>/dev/null || true
    for one in "${extra_pids[@]}"; do wait "$one" 2>/dev/null || true; done
    extra_pids=()
    note_strike everything
  done
  unset RETORT_FAULTS
  wait "$(cat coordinator.pid)"
  for one in server-0 server-1 student-a student-b teacher-a; do wait "$(cat "$one.pid")"; done
  stop_watch
  # What is left is the end of a run: export, scores, summary.
  "$RETORT" run --config retort.yaml --set launch.servers=2 > run.out 2> run.err
  judge_same 5 "in any order" --strikes 4
}
