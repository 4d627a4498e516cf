#!/usr/bin/env bats
# The whole way on real processes: a small corpus in, a scored student out.

load helpers

setup() { make_folder; }
teardown() {
  [ -z "${redis_pid:-}" ] || { kill "$redis_pid" && wait "$redis_pid"; }
  drop_folder
}

shows_students_time() {
  "$RETORT" stats --config retort.yaml | grep -E '^students  [0-9]+ % computing, [0-9]+ % waiting' &&
    "$RETORT" stats --config retort.yaml --metrics | grep -E '^retort_student_time_share\{part="push"\} 0\.'
}

@test "a run labels, trains, exports, scores, and its books close" {
  make_recorded 300
  echo '{"question": "broken' >> recorded.jsonl            # a malformed row
  head -n 1 recorded.jsonl >> recorded.jsonl               # a duplicate
  printf '{"question":"What is missing?","answer":"1","text":"no marker here"}\n' >> recorded.jsonl
  write_config
  sed -i 's/^corpus: {/corpus: {bad_share_max: 0.02, /' retort.yaml
  run "$RETORT" run --config retort.yaml
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }

  [ "$(json run/summary.json rows)" -eq 303 ]
  [ "$(json run/summary.json duplicates)" -eq 1 ]
  [ "$(json run/summary.json malformed)" -eq 1 ]
  [ "$(json run/summary.json labelled)" -eq 300 ]
  [ "$(json run/summary.json steps)" -eq 40 ]
  [ "$(json run/summary.json tokens)" -gt 0 ]
  [ "$(json run/summary.json weights_sha256)" = "$(sha256sum < run/student/model.safetensors | cut -d' ' -f1)" ]
  shares=$(tr -d ' \n' < run/summary.json | sed -nE 's/.*"student_time":\{([^}]*)\}.*/\1/p')
  for part in wait pull compute push; do
    [[ "$shares" =~ \"$part\":0\.[0-9] ]] || { echo "no share of $part: $shares"; false; }
  done
  grep -q '"reason": *"no_marker"' run/dataset/rejected.jsonl
  for f in config.yaml plan.jsonl tokenizer.model metrics.jsonl student/config.json \
           student/generation_config.json student/README.md student/tokenizer.model; do
    [ -s "run/$f" ] || { echo "missing run/$f"; false; }
  done

  run "$RETORT" audit --config retort.yaml --json
  [ "$status" -eq 0 ]
  [[ "$output" == *'"closes": true'* ]]
  [[ "$output" == *'"pending": 0'* ]]

  # The student answers, in order, one line of JSON for each line.
  printf 'Nina has 3 keys. She finds 4 more. How many keys does Nina have now?\n\nsecond\n' > ask.txt
  "$RETORT" predict --model run/student < ask.txt > answers.jsonl
  [ "$(wc -l < answers.jsonl)" -ge 2 ]
  grep -q '"input": *"second"' answers.jsonl
}

@test "the same command goes on after a run was interrupted" {
  make_recorded 300
  write_config 60
  start_run
  wait_until 60 at_least step 12
  wait_until 60 shows_students_time
  kill -INT "$run_pid"
  wait_run || true
  [ "$run_code" -eq 130 ] || { show_logs; false; }
  "$RETORT" audit --config retort.yaml > /dev/null
  # What was trained is on disk, also between two validations: no step is computed again.
  version=$(sed -nE 's/.*coordinator.end ending=drained version=([0-9]+).*/\1/p' run/logs/coordinator.log)
  [ -d "run/checkpoints/step-$version" ] || { ls run/checkpoints; show_logs; false; }
  "$RETORT" run --config retort.yaml --json > resumed.json 2> resumed.err || { show_logs; false; }
  grep -q "server.restored version=$version " run/logs/server-0.log
  sha=$(json run/summary.json weights_sha256)

  "$RETORT" run --config retort.yaml --set run_dir=whole --json > /dev/null 2>&1
  [ "$sha" = "$(json whole/summary.json weights_sha256)" ]
  [ "$(json run/summary.json dataset_sha256)" = "$(json whole/summary.json dataset_sha256)" ]
  # TensorBoard's files have every line of metrics.jsonl once: two files of the two starts, one of the one.
  run python3 "$SOURCE/tests/tools/check_events.py" run
  [[ "$output" == "2 files, "*", 0 lost" ]] || { echo "$output"; false; }
  run python3 "$SOURCE/tests/tools/check_events.py" whole
  [[ "$output" == "1 files, "*", 0 lost" ]] || { echo "$output"; false; }
}

gradients_were_shared() {
  "$RETORT" stats --config retort.yaml --metrics | grep -E '^retort_worker\{worker="server-0",.*name="pushes_shared"\} [1-9]'
}

@test "gradients in shared memory, and in frames because a shard does not read it, give one student" {
  make_recorded 120
  write_config 40
  start_run
  wait_until 60 gradients_were_shared
  wait_run || { show_logs; false; }

  # This student offers its memory to a shard that has net.shared_memory off.
  where=(--set run_dir=framed --set "net.coordinator=ipc://$PWD/c.sock")
  start_run "${where[@]}" --set launch.students=0 --set net.shared_memory=false
  "$RETORT" student --config retort.yaml "${where[@]}" > student.out 2>&1 3>&- &
  student_pid=$!
  wait_run || { cat student.out run.err >&2; kill "$student_pid"; false; }
  wait "$student_pid"
  [ "$(json run/summary.json weights_sha256)" = "$(json framed/summary.json weights_sha256)" ]
}

@test "a finished run does nothing twice" {
  make_recorded 120
  write_config 20
  "$RETORT" run --config retort.yaml > /dev/null 2>&1 || { show_logs; false; }
  before=$(sha256sum run/dataset/labels.jsonl run/plan.jsonl run/student/model.safetensors)
  "$RETORT" run --config retort.yaml > /dev/null 2>&1 || { show_logs; false; }
  [ "$before" = "$(sha256sum run/dataset/labels.jsonl run/plan.jsonl run/student/model.safetensors)" ]
}

@test "who waited for a coordinator hears from it that all is done, also when it was started again" {
  make_recorded 60; write_config 10
  "$RETORT" run --config retort.yaml > run.out 2> run.err || { cat run.err; false; }
  port=$(free_port)
  redis-server --port 0 --unixsocket "$folder/redis.sock" --save "" --appendonly no > redis.log 2>&1 3>&- & redis_pid=$!
  common=(--config retort.yaml --set "net.coordinator=tcp://127.0.0.1:$port" --set "queue.url=unix:$folder/redis.sock")
  timeout 60 "$RETORT" student "${common[@]}" --name student-9 > student.log 2>&1 3>&- & student_pid=$!
  timeout 60 "$RETORT" teacher "${common[@]}" --name teacher-9 > teacher.log 2>&1 3>&- & teacher_pid=$!
  wait_until 10 grep -q coordinator student.log
  timeout 60 "$RETORT" coordinator "${common[@]}" > coordinator.log 2>&1 || { cat coordinator.log; false; }
  code=0; wait "$student_pid" || code=$?; wait "$teacher_pid" || code=$?
  [ "$code" -eq 0 ] || { cat student.log teacher.log; false; }
}

@test "label, then train from the dataset, then score" {
  make_recorded 200
  write_config 20
  run "$RETORT" label --config retort.yaml
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }
  [ "$(wc -l < run/dataset/labels.jsonl)" -eq 200 ]
  [ ! -e run/checkpoints/step-20 ]
  run "$RETORT" eval --config retort.yaml --teacher --json
  [ "$status" -eq 0 ]
  run "$RETORT" train --config retort.yaml --dataset run/dataset --set run_dir=trained --set train.tensorboard=false
  [ "$status" -eq 0 ] || { echo "$output"; tail -n 5 trained/logs/*.log; false; }
  [ -s trained/student/model.safetensors ]
  [ ! -e trained/tensorboard ] && [ -e trained/metrics.jsonl ]
}
