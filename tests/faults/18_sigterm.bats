#!/usr/bin/env bats
# Row 18: SIGTERM to each role, as a rolling update sends it. docs/reliability.md

load helpers

place() { tr '\0' '\n' < "/proc/$(pid_of student-0)/cmdline" | sed -n 's/^\(net\.coordinator=.*\|queue\.url=.*\|run_dir=.*\)$/--set\n\1/p'; }

# leaves_in_time PID SECONDS: exit code 0 within its grace
leaves_in_time() {
  local start; start=$(now_ms)
  kill -TERM "$1"
  wait "$1"
  [ $(($(now_ms) - start)) -le $(($2 * 1000)) ]
}

# bats test_tags=ci
@test "18: workers drain, leave with 0, and give back what they hold" {
  local role k i=0
  begin teacher.before_request:delay=1500:1:0 "${CLUSTER[@]}" --set launch.teachers=1 --set launch.students=1
  wait_until 60 at_least step 2
  mapfile -t where < <(place)
  for role in teacher student; do
    i=$((i + 1))
    start_extra "$role.out" "$RETORT" "$role" --config retort.yaml "${CLUSTER[@]}" "${where[@]}" --name "extra-$i"
    k=$extra_pid
    wait_until 30 log_has coordinator "member.joined name=extra-$i"
    leaves_in_time "$k" 10
    note_strike "term-$role"
  done
  finish
  judge_same 18 "student and teacher" --strikes 3
}

@test "18: a rolling restart of every child, one after the other" {
  local one
  begin student.after_read:delay=150:1:0 "${CLUSTER[@]}"
  wait_until 60 at_least step 3
  for one in student-0 student-1 server-0 server-1 coordinator; do
    kill -TERM "$(pid_of "$one")"
    note_strike "$one"
    wait_until 60 restarted "$one"
  done
  finish
  no grep -E "(student|server|coordinator)[-0-9]* left with exit code" run.err
  # A shard leaves with its version on disk, and its next process goes on from there.
  for one in server-0 server-1; do
    version=$(sed -nE 's/.*server.leaving version=([0-9]+).*/\1/p' "run/logs/$one.log")
    grep -A20 "server.leaving" "run/logs/$one.log" | grep -q "server.restored version=$version "
  done
  judge_same 18 "rolling restart" --strikes 6
}

restarted() {
  local sign="joined name=$1 "
  [ "$1" != coordinator ] || sign=coordinator.ready
  [ "$(grep -c "$sign" run/logs/coordinator.log)" -ge 2 ]
}
