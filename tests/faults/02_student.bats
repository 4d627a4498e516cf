#!/usr/bin/env bats
# Row 2: students killed with -9 wherever it hurts. docs/reliability.md

load helpers

# What a dead student had read comes back out of the stream; nothing has to be published anew.
nothing_was_lost() { ! grep "batches.resend" run/logs/coordinator.log; }

@test "2: a student dies after reading" {
  survives 2 "after reading" student.after_read:kill:9:3 3
  nothing_was_lost
}

@test "2: a student dies in the middle of a pull" {
  survives 2 "in the middle of a pull" student.mid_pull:kill:11:3 3
  nothing_was_lost
}

# bats test_tags=ci
@test "2: a student dies in the middle of a push" {
  survives 2 "in the middle of a push" student.mid_push:kill:11:3 3
  nothing_was_lost
}

# The delay lets the first shard's share leave the process.
@test "2: a student dies when one shard has its gradient and the other has not" {
  survives 2 "one shard done, one not" student.between_asks:kill=80:16:4 4
  nothing_was_lost
}

@test "2: a student dies before the acknowledgement" {
  survives 2 "before the acknowledgement" student.before_ack:kill:9:3 3
  nothing_was_lost
}
