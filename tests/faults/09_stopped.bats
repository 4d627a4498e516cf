#!/usr/bin/env bats
# Row 9: SIGSTOP longer than a lease, then SIGCONT: late work of a zombie is refused or harmless.
# docs/reliability.md

load helpers

# stopped CASE POINT N ROLE: the process stops itself there, is taken for dead, and comes back.
stopped() {
  begin "$2:stop:$3" "${CLUSTER[@]}"
  wait_until 60 struck "$2.1"
  local pid; pid=$(struck_pid "$2")
  if [ "$4" = coordinator ]; then sleep 4; else wait_until 30 log_has coordinator "member.dead .*role=$4"; fi
  kill -CONT "$pid"
  finish
  judge_same 9 "$1" --strikes 1
}

@test "9: a teacher with its answers in hand" { stopped "teacher" teacher.after_answer 2 teacher; }

@test "9: a teacher between two publishes" {
  begin teacher.between_publishes:stop:2 "${CLUSTER[@]}" --set queue.labels_max=8
  wait_until 60 struck teacher.between_publishes.1
  wait_until 30 log_has coordinator "member.dead .*role=teacher"
  kill -CONT "$(struck_pid teacher.between_publishes)"
  finish
  judge_same 9 "teacher, half of its shard published" --strikes 1
}

# bats test_tags=ci
@test "9: a student in the middle of a push" { stopped "student, mid push" student.mid_push 9 student; }

@test "9: a student before the acknowledgement" { stopped "student, before ack" student.before_ack 9 student; }

@test "9: a shard while it gathers" { stopped "shard, gathering" server.gathering 40 server; }

@test "9: a shard in the optimizer" { stopped "shard, in the optimizer" server.in_optimizer 90 server; }

@test "9: the coordinator while it archives" { stopped "coordinator" coordinator.before_ack 2 coordinator; }

@test "9: Redis" {
  begin "" "${CLUSTER[@]}"
  wait_until 60 at_least step 6
  local pid; pid=$(pid_of redis)
  kill -STOP "$pid"
  note_strike redis
  sleep 4
  kill -CONT "$pid"
  finish
  judge_same 9 "Redis" --strikes 1
}
