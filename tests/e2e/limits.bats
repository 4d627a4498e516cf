#!/usr/bin/env bats
# A server with limits of its own, said only in its headers, that fails three requests in ten in
# every way there is: all rows are accounted for, nobody is ever over a limit, and nine tenths of
# what the limits allow are used.
#
# The server counts: who was over a limit, and, between its start-up and its drain, what was used of
# what could have been. So no clock of this test matters, and the limits are low enough that the
# machine is never what holds the run up. The time of the server goes on when the machine is busy
# with something else: its bucket then holds more, and the run catches up.

load helpers

LIMITED_TEACHER=${LIMITED_TEACHER:-${RT_BUILD_DIR:-build/release}/limited-teacher}

setup() { make_folder; }

teardown() {
  stop_teacher
  drop_folder
}

start_teacher() { # start_teacher SHARE [NAME=VALUE...]: sets BASE_URL
  "$LIMITED_TEACHER" recorded.jsonl "$@" > teacher.out 2> teacher.err 3>&- &
  teacher_pid=$!
  wait_until 10 test -s teacher.out
  export BASE_URL; BASE_URL="$(head -n 1 teacher.out)/v1"
}

stop_teacher() { # afterwards book.json has what the server noted
  [ -n "${teacher_pid:-}" ] || return 0
  kill -TERM "$teacher_pid" 2>/dev/null
  wait "$teacher_pid" 2>/dev/null
  teacher_pid=
  sed '1d; $d' teacher.out > book.json
}

write_limits_config() { # two teachers; no limits are set
  write_config 10
  sed -i '/^teacher:/d; /^label:/d; /^launch:/d' retort.yaml
  cat >> retort.yaml <<'YAML'
prompt: {instruction: "Answer with a reason."}
label: {shard_size: 50}
launch: {teachers: 2, students: 1, servers: 1}
teacher:
  backend: openai
  base_url: "${BASE_URL}"
  model: teacher-1
  timeout_ms: 1000
  retries_max: 20
  max_new_tokens: 64
YAML
}

book() { json book.json "$1"; }

show_book() { cat book.json >&2; show_logs; }

# Every row once, and the books of the run and of the server agree.
check_rows() { # check_rows N
  "$RETORT" audit --config retort.yaml > audit.out || { cat audit.out; false; }
  local n_labelled n_rejected
  n_labelled=$(wc -l < run/dataset/labels.jsonl)
  n_rejected=$(wc -l < run/dataset/rejected.jsonl)
  [ $((n_labelled + n_rejected)) -eq "$1" ]
  [ "$(grep -c '"reason"' run/dataset/rejected.jsonl || true)" -eq "$n_rejected" ]
  [ "$(sort -u run/dataset/labels.jsonl | wc -l)" -eq "$n_labelled" ]
  # Each request that the server saw is one that the run knows of.
  [ "$(json run/summary.json requests)" -eq $(($(book admitted) + $(book over_requests) + $(book over_tokens))) ]
}

check_faults() { # each kind came, and three in ten failed
  local kind
  for kind in too_many status_500 status_503 slow_bytes half_answers wrong_lengths empty_answers dropped invalid_json storm; do
    [ "$(book $kind)" -gt 0 ] || { echo "no $kind" >&2; return 1; }
  done
  [ $(($(book failed) * 100)) -ge $(($(book admitted) * 25)) ]
}

@test "a whole run with two teachers keeps the limits of a bucket, and uses them" {
  make_recorded 450
  write_limits_config
  start_teacher 0.3 requests=1800 tokens=240000 start=0.05 storm_every_ms=5000 storm_ms=400
  "$RETORT" run --config retort.yaml > run.out 2> run.err || { cat run.err; show_logs; false; }
  stop_teacher
  check_rows 450 || { show_book; false; }
  check_faults || { show_book; false; }
  [ -s run/student/model.safetensors ]
  [ "$(book over_requests)" -eq 0 ] || { show_book; false; }
  [ "$(book over_tokens)" -eq 0 ]
  [ "$(book share_requests)" -ge 900 ] || { show_book; false; }
}

@test "tokens that are counted at their most, in windows, are kept too" {
  make_recorded 240
  write_limits_config
  start_teacher 0.3 requests=3000 tokens=36000 kind=window period_ms=8000 count=most \
    storm_every_ms=5000 storm_ms=400
  "$RETORT" label --config retort.yaml > run.out 2> run.err || { cat run.err; show_logs; false; }
  stop_teacher
  check_rows 240 || { show_book; false; }
  check_faults || { show_book; false; }
  [ "$(book over_requests)" -eq 0 ]
  [ "$(book over_tokens)" -eq 0 ] || { show_book; false; }
}
