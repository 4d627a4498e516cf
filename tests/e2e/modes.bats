#!/usr/bin/env bats
# Modes ssp and async: other bits each time, and yet every micro-batch of the plan counts once on every
# shard, staleness stays within its bound, and whoever is killed loses nothing. Backups in mode sync.

load helpers

setup_file() {
  export shared=$(mktemp -d "${TMPDIR:-/tmp}/retort-e2e.XXXXXX")
  cd "$shared"
  make_recorded 240
  write_config 60
}
teardown_file() { rm -rf "$shared"; }

setup() { make_folder; cp "$shared/retort.yaml" "$shared/recorded.jsonl" "$shared/test.jsonl" .; }
teardown() { drop_folder; }

# Of metrics.jsonl: steps, micro-batches that were counted, versions behind at most, first and last loss.
steps_of() {
  python3 - "${1:-run}/metrics.jsonl" <<'PY'
import json, sys
steps = [l for l in map(json.loads, open(sys.argv[1])) if l["kind"] == "step"]
assert [s["step"] for s in steps] == list(range(1, len(steps) + 1)), "a step is missing or twice"
counted = [sum(s["staleness"]) for s in steps]
most = max(len(s["staleness"]) - 1 for s in steps)
losses = [s["loss"] for s in steps]
print(len(steps), sum(counted), most, sum(losses[:10]) / 10, sum(losses[-10:]) / 10)
PY
}

# Micro-batches of a step are a matter of the plan: those of a sync run of the same configuration.
micro_batches_of_plan() {
  [ -s "$shared/planned" ] && { cat "$shared/planned"; return; }
  "$RETORT" run --config retort.yaml --set run_dir=plan --set train.mode=ssp --set train.staleness_max=1 --json > plan.json 2> plan.err ||
    { cat plan.err >&2; return 1; }
  steps_of plan | cut -d' ' -f2 | tee "$shared/planned"
}

finish_well() { # finish_well MODE BOUND
  local n counted most first last
  wait_run || { cat run.err >&2; show_logs; return 1; }
  read -r n counted most first last < <(steps_of)
  echo "$1: $n steps, $counted micro-batches, at most $most behind, loss $first to $last"
  [ "$n" = 60 ]
  [ "$counted" = "$(micro_batches_of_plan)" ]
  [ "$most" -le "$2" ]
  python3 -c "import sys; sys.exit(not $last < $first - 0.3)"
  [ "$(json run/summary.json mode)" = "$1" ]
  [ "$(json run/summary.json repeatable)" = false ]
  grep -q '"staleness": {' run/summary.json
  "$RETORT" audit --config retort.yaml > /dev/null
}

@test "ssp: a run ends, its loss falls, its staleness is told and bounded" {
  start_run --set train.mode=ssp --set train.staleness_max=3 --set launch.students=2
  finish_well ssp 3
}

@test "async: the same" {
  start_run --set train.mode=async --set train.staleness_max=3 --set launch.students=2
  finish_well async 3
}

@test "ssp: students killed with -9 lose nothing" {
  start_run --set train.mode=ssp --set train.staleness_max=3 --set launch.students=2 --set launch.servers=2
  wait_until 60 at_least step 8
  kill -KILL "$(pid_of student-0)"
  wait_until 60 at_least step 25
  kill -KILL "$(pid_of student-1)"
  finish_well ssp 3
}

@test "async: students killed with -9 lose nothing" {
  start_run --set train.mode=async --set train.staleness_max=3 --set launch.students=2 --set launch.servers=2
  wait_until 60 at_least step 8
  kill -KILL "$(pid_of student-0)"
  wait_until 60 at_least step 25
  kill -KILL "$(pid_of student-1)"
  finish_well async 3
}

@test "async: a shard killed with -9 goes back to the checkpoint, and all is counted once" {
  start_run --set train.mode=async --set train.staleness_max=3 --set launch.students=2 --set launch.servers=2
  wait_until 60 at_least step 14
  kill -KILL "$(pid_of server-1)"
  finish_well async 3
  [ "$(json run/summary.json rewinds)" -ge 1 ]
}

@test "ssp: Redis flushed and the coordinator killed with -9" {
  start_run --set train.mode=ssp --set train.staleness_max=3 --set launch.students=2
  wait_until 60 at_least step 6
  redis-cli -s run/redis.sock FLUSHALL
  wait_until 60 at_least step 20
  kill -KILL "$(pid_of coordinator)"
  finish_well ssp 3
}

guest_is_in() { "$RETORT" stats --config retort.yaml --json 2>/dev/null | tr -d ' \n' | grep -q '"name":"guest"'; }

@test "async: a student joins in the middle, and another leaves" {
  start_run --set train.mode=async --set train.staleness_max=3 --set launch.students=1
  wait_until 60 at_least step 5
  local where host; where=$(json run/coordinator.json endpoint) host=$(pid_of student-0)
  kill -STOP "$host" # the run is short, and the guest is to come in time
  "$RETORT" student --config run/config.yaml --set net.coordinator="$where" --name guest > guest.log 2>&1 3>&- &
  local guest=$!
  wait_until 60 guest_is_in
  kill -CONT "$host"
  wait_until 60 at_least step 25
  kill -TERM "$guest" 2> /dev/null || true # on a fast machine the run is over, and so is the guest
  wait "$guest" || { cat guest.log >&2; false; }
  finish_well async 3
}

# Stop student-0 while it has a micro-batch in hand: the step then stands still.
hang_student() {
  local step try
  slow=$(pid_of student-0)
  for try in $(seq 60); do
    kill -STOP "$slow" || return 1
    step=$(stat_of step)
    sleep 0.7 # a picture of the stats is at most 250 ms old
    [ -n "$step" ] && [ "$(stat_of step)" = "$step" ] && return 0
    kill -CONT "$slow"
  done
  return 1
}

@test "sync: what a student hangs on is given to another, and the student of the run is the same" {
  local long="--set train.steps=600 --set train.eval_every=200"
  "$RETORT" run --config retort.yaml --set run_dir=base $long --json > base.json 2> base.err
  start_run $long --set launch.students=2 --set net.dead_after_ms=600000 --set queue.claim_ms=600000
  wait_until 60 at_least step 12
  hang_student
  # Training goes on without it; afterwards its own result comes late and changes nothing.
  wait_until 60 at_least backups 1 || { kill -CONT "$slow"; show_logs; false; }
  wait_until 60 at_least step $(($(stat_of step) + 3)) || { kill -CONT "$slow"; show_logs; false; }
  kill -CONT "$slow"
  wait_run || { cat run.err >&2; show_logs; false; }
  [ "$(json run/summary.json weights_sha256)" = "$(json base/summary.json weights_sha256)" ]
  [ "$(json run/summary.json mode)" = sync ]
  [ "$(json run/summary.json repeatable)" = true ]
}
