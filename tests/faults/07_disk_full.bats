#!/usr/bin/env bats
# Row 7: a full disk is a pause with a reason, and the run goes on by itself when there is room.
# docs/reliability.md

load helpers

# full_then_room CASE RULES FULL_AT_STEP [ARGS...]
full_then_room() {
  if [ "$3" -eq 0 ]; then touch faults/full; fi
  begin "$2" "${CLUSTER[@]}" "${@:4}"
  if [ "$3" -gt 0 ]; then
    wait_until 60 at_least step "$3"
    touch faults/full
  fi
  wait_until 60 problem_named "No space left"
  rm -f faults/*.1 faults/full
  note_strike room
  finish
  rm -f faults/student*
  judge_same 7 "$1" --strikes 1
}

# bats test_tags=ci
@test "7: no room for the dataset" {
  full_then_room "dataset" 'write(labels.jsonl):full' 0
}

@test "7: no room for the tokenizer" {
  full_then_room "tokenizer" 'write(tokenizer.model):full' 0
}

@test "7: no room for the tokens" {
  full_then_room "tokens" 'write(tokens.bin):full' 0
}

@test "7: no room for the plan" {
  full_then_room "plan" 'write(plan.jsonl):full' 0
}

# bats test_tags=ci
@test "7: no room for a checkpoint" {
  full_then_room "checkpoint" 'write(model-0):full' 5
}

@test "7: no room for the optimizer's state" {
  full_then_room "optimizer state" 'write(optim-0):full' 5
}

@test "7: no room for the manifest" {
  full_then_room "manifest" 'write(manifest.json):full' 5
}

@test "7: no room for the losses of the first steps" {
  full_then_room "losses" 'write(metrics.jsonl):full' 0
}

@test "7: no room for the scores of a validation" {
  full_then_room "scores" 'write(metrics.jsonl):full' 5
}

@test "7: no room for the note of the best version" {
  full_then_room "best.json" 'write(best.json):full' 5
}

@test "7: a shard dies while there is no room: the last good checkpoint loads" {
  begin 'write(model-0):full' "${CLUSTER[@]}"
  wait_until 60 at_least checkpoint 20
  touch faults/full
  wait_until 60 problem_named "No space left"
  strike_kill server-1
  wait_until 60 log_has server-1 'server.restored.*version=[1-9]'
  wait_until 60 problem_named "No space left"
  rm -f faults/write* faults/full
  note_strike room
  finish
  judge_same 7 "and a shard dies" --strikes 2
}

@test "7: no room in Redis" {
  start_redis
  begin "" "${CLUSTER[@]}" --set "$(OWN_REDIS)"
  wait_until 60 at_least step 6
  redis CONFIG SET maxmemory 1
  wait_until 30 problem_named "OOM|maxmemory"
  redis CONFIG SET maxmemory 0
  note_strike room
  finish
  judge_same 7 "Redis" --strikes 1
}

# A real file system that is really full, of everything that a run writes.
@test "7: a real file system without a byte left" {
  mkdir run
  mount -t tmpfs -o size=24m none run 2>/dev/null || skip "may not mount a file system"
  begin "" "${CLUSTER[@]}" --set train.checkpoints_kept=1
  wait_until 60 at_least step 12
  dd if=/dev/zero of=run/ballast bs=64k 2>/dev/null || true
  wait_until 60 problem_named "No space left"
  local old; old=$(pid_of student-0)
  strike_kill student-0
  wait_until 60 new_pid student-0 "$old"
  rm run/ballast
  note_strike room
  finish
  judge_same 7 "tmpfs" --strikes 2
}

new_pid() { # new_pid NAME OLD: stats know a younger process of this name
  "$RETORT" stats --config retort.yaml --json 2>/dev/null | tr -d ' \n' |
    sed -nE "s/.*\"name\":\"$1\"[^}]*\"pid\":([0-9]+).*/\1/p" | grep -qvx "$2"
}

@test "7: no room for the next part of the plan while steps are trained" {
  full_then_room "plan, later" 'write(plan.jsonl):full,student.after_read:delay=60:1:0' 5 --set train.lookahead_steps=4
}

teardown() {
  [ -n "${BATS_TEST_COMPLETED:-}" ] || note_failure
  stop_watch
  stop_run
  [ ! -d run ] || umount run 2>/dev/null || true
  local pid
  for pid in "${extra_pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  drop_folder
}
