#!/usr/bin/env bats
# Row 13: bytes that are not what they were, or never were anything. docs/reliability.md

load helpers

# Ports of the run on this machine: the coordinator's, its HTTP, the shards'.
ports() {
  sed -nE 's/.*"(tcp:\/\/)?127\.0\.0\.1:([0-9]+)".*/\2/p' run/coordinator.json
  sed -nE 's/.*endpoint=tcp:\/\/127\.0\.0\.1:([0-9]+).*/\1/p' run/logs/coordinator.log
}

metric() { "$RETORT" stats --config retort.yaml --metrics 2>/dev/null | sed -nE "s/^retort_$1 ([0-9.e+]+)\$/\1/p"; }

garbage_counted() { local n; n=$(metric connections_failed_total); [ "${n:-0}" != 0 ]; }

# bats test_tags=ci
@test "13: random bytes on every listening port while the run goes on" {
  # Slow enough to outlast the garbage: a coordinator that has ended tells nothing.
  begin student.after_read:delay=250:1:0 "${CLUSTER[@]}"
  wait_until 60 at_least step 4
  mapfile -t all < <(ports | sort -u)
  [ "${#all[@]}" -ge 4 ]
  n=$(python3 "$FAULTS/garbage.py" "${FAULTS_SEED:-$RANDOM}" 5 "${all[@]}")
  [ "$n" -gt 100 ]
  wait_until 20 garbage_counted # the statistics' own connections are taken by garbage for a while
  note_strike garbage
  finish
  judge_same 13 "random bytes on every port" --strikes 2
}

# flipped EDGE: bits turned on the way, in envelopes and in numbers
@test "13: bits turned between students and a shard" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  echo pass > mode
  start_extra proxy.out "$TCP_PROXY" "$outer" "$inner" mode
  wait_until 10 grep -q ready proxy.out
  begin student.after_read:delay=60:1:0 --set launch.students=2 --set net.shared_memory=false \
    --set "net.server_bind=tcp://127.0.0.1:$inner" --set "net.server_advertise=tcp://127.0.0.1:$outer"
  wait_until 60 at_least step 3
  echo flip 500009 > mode
  wait_until 60 at_least step 20
  echo pass > mode
  note_strike flips
  finish
  judge_same 13 "bits turned towards a shard" --strikes 2
}

@test "13: bits turned between everybody and the coordinator" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  echo pass > mode
  start_extra proxy.out "$TCP_PROXY" "$outer" "$inner" mode
  wait_until 10 grep -q ready proxy.out
  begin student.after_read:delay=60:1:0,teacher.before_request:delay=300:1:0 "${CLUSTER[@]}" \
    --set "net.coordinator=tcp://127.0.0.1:$outer" --set "net.coordinator_bind=tcp://127.0.0.1:$inner"
  wait_until 60 examples labelled 20
  echo flip 20011 > mode
  sleep 6
  echo pass > mode
  note_strike flips
  finish
  judge_same 13 "bits turned towards the coordinator" --strikes 3
}

@test "13: bits turned between everybody and Redis" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  mkdir -p redis
  start_extra redis.out redis-server --port "$inner" --dir "$folder/redis" --save '' --appendonly no
  echo pass > mode
  start_extra proxy.out "$TCP_PROXY" "$outer" "$inner" mode
  wait_until 10 grep -q ready proxy.out
  begin student.after_read:delay=60:1:0,teacher.before_request:delay=300:1:0 "${CLUSTER[@]}" --set "queue.url=redis://127.0.0.1:$outer"
  wait_until 60 examples labelled 20
  echo flip 90001 > mode
  sleep 6
  echo pass > mode
  note_strike flips
  finish
  judge_same 13 "bits turned towards Redis" --strikes 3
}
