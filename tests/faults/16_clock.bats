#!/usr/bin/env bats
# Row 16: wall clocks that jump by two hours. docs/reliability.md

load helpers

jump() { echo "$1" > jump.txt; note_strike clock; }

preload() { # preload COMMAND...: with a clock that jump.txt moves
  env CLOCK_JUMP_FILE="$folder/jump.txt" LD_PRELOAD="$CLOCK_JUMP" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" "$@"
}

@test "16: the clock of every process jumps, both ways" {
  echo 0 > jump.txt
  preload "$RETORT" run --config retort.yaml "${CLUSTER[@]}" > run.out 2> run.err 3>&- &
  run_pid=$!
  start_watch
  wait_until 60 at_least step 4
  jump 7200
  wait_until 60 at_least step 16
  jump -7200
  wait_until 60 at_least step 30
  strike_kill student-0
  jump 0
  finish
  judge_same 16 "all processes" --strikes 4
}

@test "16: the clock of Redis alone jumps, both ways" {
  echo 0 > jump.txt
  mkdir redis
  preload redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder/redis" --save '' > redis.out 2>&1 3>&- &
  extra_pids+=($!)
  wait_until 20 redis_answers
  begin "" "${CLUSTER[@]}" --set "$(OWN_REDIS)"
  wait_until 60 at_least step 4
  jump 7200
  wait_until 60 at_least step 16
  jump -7200
  strike_kill student-1
  wait_until 60 at_least step 30
  jump 7200
  finish
  judge_same 16 "Redis" --strikes 4
}
