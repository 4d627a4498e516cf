#!/usr/bin/env bats
# Row 2: students killed with -9 wherever it hurts. docs/reliability.md

load helpers

@test "2: a student dies after reading" {
  survives 2 "after reading" student.after_read:kill:9:3 3
}

@test "2: a student dies in the middle of a pull" {
  survives 2 "in the middle of a pull" student.mid_pull:kill:11:3 3
}

# bats test_tags=ci
@test "2: a student dies in the middle of a push" {
  survives 2 "in the middle of a push" student.mid_push:kill:11:3 3
}

@test "2: a student dies before the acknowledgement" {
  survives 2 "before the acknowledgement" student.before_ack:kill:9:3 3
}
