#!/usr/bin/env bats
# Row 17: two processes with one identity, two coordinators on one run folder. docs/reliability.md

load helpers

@test "17: a second coordinator on the folder of a run is refused" {
  begin "" "${CLUSTER[@]}"
  wait_until 60 at_least step 4
  local code=0
  "$RETORT" coordinator --config retort.yaml "${CLUSTER[@]}" --set "queue.url=unix:$folder/run/redis.sock" > second.out 2>&1 || code=$?
  [ "$code" -ne 0 ]
  grep -q "has a coordinator already (process [0-9]" second.out || { cat second.out >&2; false; }
  note_strike second
  finish
  judge_same 17 "two coordinators" --strikes 1
}

where() { # the settings with which the launcher's children find each other
  tr '\0' '\n' < "/proc/$(pid_of student-0)/cmdline" | sed -n 's/^\(net\.coordinator=.*\|queue\.url=.*\|run_dir=.*\)$/--set\n\1/p'
}

@test "17: a second student of the same name takes over, and the older one is told so" {
  begin "" "${CLUSTER[@]}"
  wait_until 60 at_least step 4
  mapfile -t place < <(where)
  start_extra second.out "$RETORT" student --config retort.yaml "${CLUSTER[@]}" "${place[@]}" --name student-0
  note_strike second
  wait_until 30 grep -rqE "a newer process of this name is in the run" run/logs second.out
  finish
  judge_same 17 "two students of one name" --strikes 1
}

@test "17: a second server for a shard that is held is refused" {
  begin "" "${CLUSTER[@]}"
  wait_until 60 at_least step 4
  mapfile -t place < <(where)
  start_extra second.out "$RETORT" server --config retort.yaml "${CLUSTER[@]}" "${place[@]}" --shard 1
  note_strike second
  wait_until 30 grep -rqE "newer process of this name|another living server has this shard" run/logs second.out
  finish
  judge_same 17 "two servers of one shard" --strikes 1
}
