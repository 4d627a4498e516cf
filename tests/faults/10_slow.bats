#!/usr/bin/env bats
# Row 10: slow consumers: producers wait, and nothing grows. docs/reliability.md

load helpers

@test "10: students at a small part of their speed" {
  begin student.after_read:delay=120:1:0 "${CLUSTER[@]}" --set queue.batches_max=16
  finish
  judge_same 10 "slow students" --strikes 1
}

@test "10: teachers at a small part of their speed" {
  begin teacher.before_request:delay=900:1:0 "${CLUSTER[@]}"
  finish
  judge_same 10 "slow teachers" --strikes 1
}

@test "10: a coordinator that archives slowly" {
  begin coordinator.before_ack:delay=150:1:0 "${CLUSTER[@]}" --set launch.teachers=4 --set queue.labels_max=24
  finish
  judge_same 10 "slow archive" --strikes 1
}

@test "10: one slow shard of the parameter server" {
  begin server.gathering:delay=25:1:0 "${CLUSTER[@]}" --set launch.students=4
  finish
  judge_same 10 "slow shards" --strikes 1
}
