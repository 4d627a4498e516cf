#!/usr/bin/env bats
# Row 1: teachers killed with -9 wherever it hurts. docs/reliability.md

load helpers

@test "1: a teacher dies before its request" {
  survives 1 "before the request" teacher.before_request:kill:2:3 3
}

# bats test_tags=ci
@test "1: a teacher dies after the answer, before publishing" {
  survives 1 "after the answer" teacher.after_answer:kill:2:3 3
}

@test "1: a teacher dies between two publishes" {
  survives 1 "between two publishes" teacher.between_publishes:kill:2:3 3 --set queue.labels_max=8
}

@test "1: a teacher dies before it says that the shard is done" {
  survives 1 "before it says done" teacher.before_done:kill:2:3 3
}
