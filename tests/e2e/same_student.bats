#!/usr/bin/env bats
# The student is a function of dataset, configuration and seed: not of the number of workers, not
# of what was killed, not of what Redis forgot (design promise 4). Each run here is compared with
# one undisturbed run of the same configuration.

load helpers

setup_file() {
  export shared=$(mktemp -d "${TMPDIR:-/tmp}/retort-e2e.XXXXXX")
  cd "$shared"
  make_recorded 240
  write_config 60
  "$RETORT" run --config retort.yaml --set run_dir=base --json > base.json 2> base.err ||
    { cat base.err base/logs/*.log >&2; return 1; }
}
teardown_file() { rm -rf "$shared"; }

setup() { make_folder; cp "$shared/retort.yaml" "$shared/recorded.jsonl" "$shared/test.jsonl" .; }
teardown() { drop_folder; }

same_as_base() {
  local key
  for key in weights_sha256 dataset_sha256; do
    [ "$(json run/summary.json $key)" = "$(json "$shared/base/summary.json" $key)" ] ||
      { echo "$key differs" >&2; show_logs; return 1; }
  done
  "$RETORT" audit --config retort.yaml > /dev/null
  cmp <(cut -c1-40 run/dataset/labels.jsonl | sort) <(cut -c1-40 "$shared/base/dataset/labels.jsonl" | sort)
}

finish_same() {
  wait_run || { cat run.err >&2; show_logs; return 1; }
  same_as_base
}

@test "two students and two teachers give the student of one" {
  start_run --set launch.students=2 --set launch.teachers=2
  finish_same
}

@test "two shards give the student of one" {
  start_run --set launch.servers=2
  finish_same
}

@test "three students and three shards give it too" {
  start_run --set launch.students=3 --set launch.servers=3
  finish_same
}

@test "a student killed with -9" {
  start_run --set launch.students=2
  wait_until 60 at_least step 8
  kill -KILL "$(pid_of student-0)"
  wait_until 60 at_least step 25
  kill -KILL "$(pid_of student-1)"
  finish_same
}

@test "a shard killed with -9" {
  start_run --set launch.servers=2
  wait_until 60 at_least step 14
  kill -KILL "$(pid_of server-1)"
  finish_same
}

@test "a shard killed with -9 while more lies in the stream than a student holds" {
  # No mark before the end: a hundred micro-batches of later steps lie before the first one again.
  "$RETORT" run --config retort.yaml --set run_dir=whole --set train.eval_every=0 --json > /dev/null 2>&1
  start_run --set launch.servers=2 --set train.eval_every=0 --set train.lookahead_steps=50
  wait_until 60 at_least step 3
  kill -KILL "$(pid_of server-0)"
  wait_run || { cat run.err >&2; show_logs; false; }
  [ "$(json run/summary.json weights_sha256)" = "$(json whole/summary.json weights_sha256)" ]
}

@test "the coordinator killed with -9" {
  start_run
  wait_until 60 at_least step 14
  kill -KILL "$(pid_of coordinator)"
  finish_same
}

@test "Redis flushed in the middle" {
  start_run --set launch.students=2
  wait_until 60 at_least step 6
  redis-cli -s run/redis.sock FLUSHALL
  wait_until 60 at_least step 20
  redis-cli -s run/redis.sock FLUSHALL
  finish_same
}

@test "Redis killed with -9" {
  start_run
  wait_until 60 at_least step 8
  kill -KILL "$(pid_of redis)"
  finish_same
}

@test "everything killed with -9, then started again" {
  start_run --set launch.servers=2 --set launch.students=2
  wait_until 60 at_least step 14
  pids=$(tr -d ' \n' < run/launcher.json | grep -o '"pid":[0-9]*' | cut -d: -f2)
  kill -KILL $pids
  wait_run || true
  start_run --set launch.servers=2 --set launch.students=2
  finish_same
}

@test "bfloat16 on the wire: two students and two shards give the student of one, and another than float32" {
  "$RETORT" run --config retort.yaml --set run_dir=run --set net.wire=bf16 --json > one.json 2> one.err ||
    { cat one.err >&2; show_logs; false; }
  [ "$(json run/summary.json wire)" = bf16 ]
  "$RETORT" run --config retort.yaml --set run_dir=two --set net.wire=bf16 --set launch.students=2 --set launch.servers=2 --json > /dev/null 2>&1
  [ "$(json run/summary.json weights_sha256)" = "$(json two/summary.json weights_sha256)" ]
  [ "$(json run/summary.json weights_sha256)" != "$(json "$shared/base/summary.json" weights_sha256)" ]
}

@test "bfloat16 products: two students give the student of one, and another than float32" {
  "$RETORT" run --config retort.yaml --set run_dir=run --set train.compute=auto --json > one.json 2> one.err ||
    { cat one.err >&2; show_logs; false; }
  [ "$(json run/summary.json compute_mode)" = bf16 ] || skip "this processor has no products of bfloat16"
  "$RETORT" run --config retort.yaml --set run_dir=two --set train.compute=bf16 --set launch.students=2 --json > /dev/null 2>&1
  [ "$(json run/summary.json weights_sha256)" = "$(json two/summary.json weights_sha256)" ]
  [ "$(json run/summary.json weights_sha256)" != "$(json "$shared/base/summary.json" weights_sha256)" ]
}

@test "a head of its own: gradients of some rows, in shared memory and in frames, give one student" {
  "$RETORT" run --config retort.yaml --set run_dir=run --set student.tied=false --json > one.json 2> one.err ||
    { cat one.err >&2; show_logs; false; }
  "$RETORT" run --config retort.yaml --set run_dir=two --set student.tied=false --set launch.students=2 --set launch.servers=2 \
    --set net.shared_memory=false --json > /dev/null 2>&1
  [ "$(json run/summary.json weights_sha256)" = "$(json two/summary.json weights_sha256)" ]
}
