#!/usr/bin/env bats
# Row 4: the coordinator killed with -9. docs/reliability.md

load helpers

@test "4: the coordinator dies while it leases" {
  survives 4 "while leasing" coordinator.leasing:kill:4:2 2
}

# bats test_tags=ci
@test "4: the coordinator dies while it archives, and leaves a torn last line" {
  survives 4 "while archiving" 'write(labels.jsonl):torn=57:31:3' 3
  ls run/dataset/labels.jsonl.torn-*
}

@test "4: the coordinator dies between archiving and acknowledging" {
  survives 4 "before it acknowledges" coordinator.before_ack:kill:3:3 3
}

@test "4: the coordinator dies while it plans, and leaves a torn last line" {
  survives 4 "while planning" 'write(plan.jsonl):torn=25:2:2' 2
}

@test "4: the coordinator dies behind a planned segment" {
  survives 4 "after planning" coordinator.planning:kill:2:2 2
}

@test "4: the coordinator dies while it writes a manifest" {
  survives 4 "while writing a manifest" 'write(manifest.json):torn=40:2:2' 2
}

# bats test_tags=ci
@test "4: the coordinator dies before and after the commit of a checkpoint" {
  survives 4 "around a commit" coordinator.before_commit:kill:2:2,coordinator.after_commit:kill:2:2 4
}

@test "4: the coordinator dies behind a published step" {
  survives 4 "after publishing" coordinator.published:kill:8:3 3
}

in_labels() { redis-cli -s run/redis.sock XLEN 'retort:{small}:labels'; }

some_in_labels() { [ "$(in_labels)" -gt 0 ]; }

@test "4: an entry stays in the stream until its record is on disk" {
  begin 'write(labels.jsonl):stop:1' "${CLUSTER[@]}"
  wait_until 60 struck 'write(labels.jsonl).1'
  [ ! -s run/dataset/labels.jsonl ]
  some_in_labels
  kill -KILL "$(struck_pid 'write(labels.jsonl)')"
  some_in_labels
  finish
  judge_same 4 "before the first record" --strikes 1
}
