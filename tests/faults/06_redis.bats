#!/usr/bin/env bats
# Row 6: Redis killed, flushed, restarted from an empty or an older folder. docs/reliability.md

load helpers

# bats test_tags=ci
@test "6: Redis is killed three times" {
  local at
  begin "" "${CLUSTER[@]}"
  for at in 4 20 38; do
    wait_until 60 at_least step "$at"
    strike_kill redis
  done
  finish
  judge_same 6 "kill -9" --strikes 3
}

@test "6: Redis is flushed again and again" {
  local at
  begin "teacher.before_request:delay=100:1:0" "${CLUSTER[@]}"
  for at in 1 2 3 4 5 6; do
    wait_until 60 at_least step $((at * 7))
    redis-cli -s run/redis.sock FLUSHALL
    note_strike flush
  done
  finish
  judge_same 6 "FLUSHALL" --strikes 7
}

@test "6: Redis stays away: stats name the reason, and all goes on when it is back" {
  start_redis
  begin "" "${CLUSTER[@]}" --set "$(OWN_REDIS)"
  wait_until 60 at_least step 6
  kill -KILL "$redis_pid"
  wait_until 20 problem_named "queue unix:"
  start_redis
  note_strike back
  wait_until 20 no_problem
  finish
  judge_same 6 "away for a while" --strikes 1
}

@test "6: Redis comes back with the data of some time ago" {
  start_redis
  begin "teacher.before_request:delay=100:1:0" "${CLUSTER[@]}" --set "$(OWN_REDIS)"
  wait_until 60 examples labelled 40
  redis SAVE
  wait_until 60 at_least step 25
  kill -KILL "$redis_pid"
  wait "$redis_pid" || true
  start_redis            # loads the older dump.rdb
  note_strike older
  finish
  judge_same 6 "older data" --strikes 2
}
