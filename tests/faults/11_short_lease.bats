#!/usr/bin/env bats
# Row 11: leases shorter than the work: many repeats, no livelock. docs/reliability.md

load helpers

expired() { sed -nE 's/^retort_leases_expired_total ([0-9]+).*/\1/p' watch.json.metrics; }

# bats test_tags=ci
@test "11: every lease runs out before its shard is labelled" {
  begin teacher.after_answer:delay=1500:1:0 --set launch.teachers=4 --set launch.students=2 \
    --set label.lease_ms=100 --set net.heartbeat_ms=900 --set label.shard_size=40
  finish
  [ "$(expired)" -ge 4 ]
  judge_same 11 "lease of 100 ms, work of 1.5 s" --strikes 1
}
