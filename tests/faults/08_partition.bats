#!/usr/bin/env bats
# Row 8: each edge of the network blocked, one way and both ways, shorter and much longer than a lease (3 s), cut and
# slowed. docs/reliability.md

load helpers

# proxied EDGE LISTEN TARGET: a proxy whose mode is what stands in EDGE.mode
proxied() {
  echo pass > "$1.mode"
  start_extra "$1.proxy" "$TCP_PROXY" "$2" "$3" "$1.mode"
  wait_until 10 grep -q ready "$1.proxy"
}

network() { # network EDGE MODE [VALUE]
  echo "${*:2}" > "$1.mode.new"
  mv "$1.mode.new" "$1.mode"
}

moves() { # moves FROM: rows or steps beyond this sum
  local n; n=$("$RETORT" stats --config retort.yaml --metrics 2>/dev/null |
    awk '/^retort_version /{n += $2} /^retort_examples\{state="(labelled|rejected)"/{n += $2} END {print n + 0}')
  [ "$n" -gt "$1" ] || [ -e run/result.json ]
}

sum_now() {
  "$RETORT" stats --config retort.yaml --metrics 2>/dev/null |
    awk '/^retort_version /{n += $2} /^retort_examples\{state="(labelled|rejected)"/{n += $2} END {print n + 0}'
}

# through EDGE: every kind of trouble on this edge, and progress after each
through() {
  local trouble before
  for trouble in "block 1" "block-up 4" "block-down 4" "block 5" "block 10" "cut 20000" "reset 1"; do
    before=$(sum_now)
    if [ "${trouble% *}" = cut ]; then network "$1" cut 20000; else network "$1" "${trouble% *}"; fi
    if [ "${trouble% *}" = cut ]; then sleep 2; else sleep "${trouble#* }"; fi
    network "$1" pass
    note_strike "$1"
    wait_until 60 moves "$before" || { echo "no progress after $trouble on $1" >&2; return 1; }
  done
  network "$1" delay 20
  sleep 2
  network "$1" pass
  finish
}

SLOW=student.after_read:delay=70:1:0,teacher.before_request:delay=500:1:0

@test "8: between everybody and the coordinator" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  proxied coordinator "$outer" "$inner"
  begin "$SLOW" "${CLUSTER[@]}" --set "net.coordinator=tcp://127.0.0.1:$outer" --set "net.coordinator_bind=tcp://127.0.0.1:$inner"
  wait_until 60 at_least step 3
  through coordinator
  judge_same 8 "coordinator" --strikes 9
}

@test "8: between students and a shard" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  proxied shard "$outer" "$inner"
  begin "$SLOW" --set launch.teachers=2 --set launch.students=2 --set net.shared_memory=false \
    --set "net.server_bind=tcp://127.0.0.1:$inner" --set "net.server_advertise=tcp://127.0.0.1:$outer"
  wait_until 60 at_least step 3
  through shard
  judge_same 8 "shard" --strikes 9
}

@test "8: between everybody and Redis" {
  local inner outer; inner=$(free_port); outer=$(free_port)
  mkdir -p redis
  start_extra redis.out redis-server --port "$inner" --dir "$folder/redis" --save '' --appendonly no
  proxied redis "$outer" "$inner"
  begin "$SLOW" "${CLUSTER[@]}" --set "queue.url=redis://127.0.0.1:$outer"
  wait_until 60 at_least step 3
  through redis
  judge_same 8 "Redis" --strikes 9
}
