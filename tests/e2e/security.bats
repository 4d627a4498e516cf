#!/usr/bin/env bats
# Who gets in, and what gets out: keys by role, passwords, keys of the statistics, secrets in files.

load helpers

setup() { make_folder; pids=(); }
teardown() {
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
  drop_folder
}

start() { # start NAME ARGS...: in the background, log in NAME.log, process id in PID
  "$RETORT" "${@:2}" > "$1.out" 2> "$1.log" 3>&- &
  PID=$!
  pids+=("$PID")
}

start_coordinator() { # start_coordinator ARGS...: sets ENDPOINT and HTTP
  start coordinator coordinator --config retort.yaml "$@"
  wait_until 20 grep -q coordinator.ready coordinator.log
  ENDPOINT=$(sed -nE 's/.*coordinator.ready endpoint=([^ ]*) .*/\1/p' coordinator.log)
  HTTP=$(sed -nE 's/.*coordinator.ready .*http=([^ ]*) .*/\1/p' coordinator.log)
}

start_redis() { # start_redis ARGS...: on a socket, or what the arguments say
  redis-server --port 0 --unixsocket "$folder/redis.sock" --save "" --appendonly no "$@" \
    > redis.log 2>&1 3>&- &
  pids+=("$!")
  wait_until 10 test -S "$folder/redis.sock"
}

metric() { "$RETORT" stats --address "$HTTP" --metrics "${@:2}" | sed -nE "s/^retort_$1 ([0-9]+)$/\1/p"; }
metric_at_least() { local v; v=$(metric "$1" "${@:3}"); [ -n "$v" ] && [ "$v" -ge "$2" ]; }

@test "a whole run goes through locked doors, each process with the key of its role" {
  "$RETORT" keys --output keys
  [ "$(stat -c %a keys/student.key)" = 600 ]
  make_recorded 60
  write_config 10
  run "$RETORT" run --config retort.yaml --set net.keys=keys
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }
  [ "$(json run/summary.json steps)" -eq 10 ]
}

@test "a worker with the key of another role stays out, is counted, and heals when it has its own" {
  "$RETORT" keys --output keys
  cp -r keys wrong && cp keys/teacher.key wrong/student.key
  cp -r keys right
  "$RETORT" keys --output stranger
  make_recorded 60
  write_config 10
  start_redis
  start_coordinator --set net.keys=keys --set "queue.url=unix:$folder/redis.sock"
  common=(--config retort.yaml --set net.coordinator="$ENDPOINT" --set "queue.url=unix:$folder/redis.sock")
  start wrong student "${common[@]}" --set net.keys=wrong --name wrong
  start stranger student "${common[@]}" --set net.keys=stranger --name stranger
  start plain student "${common[@]}" --name plain
  start teacher teacher "${common[@]}" --set net.keys=right --name right
  wait_until 20 metric_at_least messages_wrong_role_total 1
  wait_until 20 metric_at_least connections_failed_total 1
  wait_until 20 grep -q 'member.joined name=right role=teacher' coordinator.log
  grep -q 'member.wrong_key name=wrong .*it comes as a student with the key of a teacher' coordinator.log
  wait_until 10 grep -q 'runtime.wrong_key .*give it its own key' wrong.log
  no grep -q 'member.joined name=\(wrong\|plain\|stranger\)' coordinator.log

  cp keys/student.key wrong/fresh && mv wrong/fresh wrong/student.key
  wait_until 10 grep -q 'member.joined name=wrong role=student' coordinator.log
  cp keys/allowed stranger/allowed && cp keys/student.key stranger/student.key
  wait_until 10 grep -q 'member.joined name=stranger role=student' coordinator.log
  no grep -q 'member.joined name=plain' coordinator.log
}

@test "keys are replaced and retired, never lost, and never printed" {
  run "$RETORT" keys --output keys
  [ "$status" -eq 0 ]
  secret=$(sed -n 's/^secret //p' keys/server.key)
  public=$(sed -n 's/^public //p' keys/server.key)
  run "$RETORT" keys --output keys
  [ "$status" -ne 0 ]
  [[ "$output" == *"exists already"*"--rotate"* ]]
  run "$RETORT" keys --output keys --rotate server
  [ "$status" -eq 0 ]
  no grep -qF -- "$secret" keys/server.key
  [ "$(grep -c '^server ' keys/allowed)" -eq 2 ]
  [[ "$output" != *"$secret"* ]]
  run "$RETORT" keys --output keys --retire server
  [ "$status" -eq 0 ]
  [ "$(grep -c '^server ' keys/allowed)" -eq 1 ]
  no grep -qF -- "$public" keys/allowed
  run "$RETORT" keys --output keys --rotate queen
  [ "$status" -eq 2 ]
  [[ "$output" == *"expected coordinator, server, teacher or student"* ]]
}

@test "a wrong password of Redis is told, and heals when it is mended" {
  make_recorded 60
  write_config 10
  start_redis --requirepass right-password
  echo wrong-password > redis.password
  start_run --set "queue.url=unix:$folder/redis.sock" --set "queue.password=file:$folder/redis.password"
  wait_until 20 grep -q 'queue.away.*password was not accepted' run/logs/coordinator.log
  kill -0 "$run_pid"
  wait_until 20 sh -c 'cat run/logs/teacher-0.log run/logs/student-0.log | grep -q "password was not accepted.*trying again"'
  echo right-password > redis.password
  wait_run || { show_logs; false; }
  [ "$(json run/summary.json steps)" -eq 10 ]
  no grep -rqF -e right-password -e wrong-password run run.out run.err
}

@test "a user of Redis' ACL needs no more than the streams of its run" {
  make_recorded 60
  write_config 10
  start_redis --requirepass of-the-admin
  redis-cli -s redis.sock -a of-the-admin ACL SETUSER retort on '>of-the-run' '~retort:{small}:*' \
    +@stream +@connection +info +del +eval +evalsha +@scripting 2>/dev/null
  export RUN_PASSWORD=of-the-run
  run "$RETORT" run --config retort.yaml --set "queue.url=unix:$folder/redis.sock" \
    --set queue.user=retort --set 'queue.password=${RUN_PASSWORD}'
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }
}

@test "statistics beyond loopback need a key, and the keys may change" {
  make_recorded 60
  write_config 10
  start_redis
  run "$RETORT" coordinator --config retort.yaml --set net.http=0.0.0.0:0
  [ "$status" -eq 2 ]
  port=$(free_port)
  run "$RETORT" coordinator --config retort.yaml --set "net.http=0.0.0.0:$port"
  [ "$status" -eq 2 ]
  [[ "$output" == *"net.http_key_file"* ]]
  (umask 077; printf '# dashboard\nkey-of-the-dashboard\n' > http.keys)
  start_coordinator --set "queue.url=unix:$folder/redis.sock" --set "net.http=0.0.0.0:$port" --set net.http_key_file=http.keys
  url="http://127.0.0.1:$port"
  [ "$(curl -so /dev/null -w '%{http_code}' "$url/healthz")" = 200 ]
  # The page itself holds nothing of the run; it asks for the key.
  [ "$(curl -so /dev/null -w '%{http_code}' "$url/")" = 200 ]
  for path in /api/stats /api/history /api/events /api/rows /api/stream /metrics /nothing; do
    [ "$(curl -so /dev/null -w '%{http_code}' "$url$path")" = 401 ]
    [ "$(curl -so /dev/null -w '%{http_code}' -H 'Authorization: Bearer guess' "$url$path")" = 401 ]
  done
  [ "$(curl -so /dev/null -w '%{http_code}' -H 'Authorization: Bearer key-of-the-dashboard' "$url/api/stats")" = 200 ]
  run "$RETORT" stats --address "127.0.0.1:$port"
  [ "$status" -ne 0 ]
  [[ "$output" == *"--key-file"* ]]
  "$RETORT" stats --address "127.0.0.1:$port" --key-file http.keys | grep -q '^stage '
  HTTP="127.0.0.1:$port"
  wait_until 10 metric_at_least http_refused_total 8 --key-file http.keys
  echo another-key > http.new && mv http.new http.keys
  wait_until 10 sh -c "curl -so /dev/null -f -H 'Authorization: Bearer another-key' $url/metrics"
  [ "$(curl -so /dev/null -w '%{http_code}' -H 'Authorization: Bearer key-of-the-dashboard' "$url/metrics")" = 401 ]
}

# Every form in which a secret could slip out: as it is, and in base64 at each of three places.
forms_of() { # forms_of SECRET
  printf '%s\n' "$1"
  for pad in '' x xx; do # what base64 makes of its middle, whatever stands before it
    printf '%s' "$pad$1" | base64 -w0 | cut -c$((${#pad} > 0 ? 5 : 1))- | sed -E 's/=*$//; s/...$//'
    echo
  done
}

@test "no secret gets into an output, a log, a file, a process title or a core file" {
  (umask 077; echo 'redis-Passw0rd-ZmVuY2U' > redis.password; echo 'http-Key-b3JjaGFyZA' > http.keys)
  export RUN_API_KEY='sk-teacher-Key-bGFudGVybg'
  "$RETORT" keys --output keys
  { forms_of redis-Passw0rd-ZmVuY2U; forms_of http-Key-b3JjaGFyZA; forms_of "$RUN_API_KEY"
    for role in coordinator server teacher student; do forms_of "$(sed -n 's/^secret //p' keys/$role.key)"; done
  } | sed '/^.\{8\}/!d' > "$BATS_TEST_TMPDIR/secrets"
  make_recorded 60
  write_config 400
  start_teacher 0 "$RUN_API_KEY"
  sed -i -e "s|^teacher:.*|teacher: {backend: openai, base_url: \"$BASE_URL\", model: m, api_key: \"\${RUN_API_KEY}\"}|" retort.yaml
  cat >> retort.yaml <<YAML
queue: {url: "unix:$folder/redis.sock", password: "file:redis.password"}
YAML
  sed -i 's|^net: {|net: {keys: keys, http_key_file: http.keys, |' retort.yaml
  start_redis --requirepass redis-Passw0rd-ZmVuY2U

  ulimit -c unlimited 2>/dev/null || true
  start_run --log-level debug
  wait_until 60 at_least step 5
  for pid in /proc/[0-9]*; do { tr '\0' ' ' < "$pid/cmdline" || true; } 2> /dev/null; echo; done | grep -E '^([^ ]*/)?retort ' > titles
  "$RETORT" stats --config retort.yaml --json > stats.json
  "$RETORT" stats --config retort.yaml --metrics > metrics.txt
  "$RETORT" config print --config retort.yaml > printed.yaml
  "$RETORT" doctor --config retort.yaml > doctor.out 2>&1 || true
  for name in coordinator server-0; do
    grep -Eq '^Max core file size +0 +0 ' "/proc/$(pid_of $name)/limits"
    [ "$(cat "/proc/$(pid_of $name)/coredump_filter")" = 00000000 ]
  done
  [ "$(cat "/proc/$(pid_of student-0)/coredump_filter")" = 00000000 ]
  kill -ABRT "$(pid_of server-0)"                    # it leaves nothing behind and is started again
  echo wrong-Passw0rd-c2FpbA > redis.password.wrong  # an error about a password does not quote it
  "$RETORT" coordinator --config retort.yaml --set run_dir=other --set queue.password=literal-Passw0rd > refused.out 2>&1 || true
  "$RETORT" doctor --config retort.yaml --set queue.password=file:redis.password.wrong > wrong.out 2>&1 || true
  wait_run || { show_logs; false; }
  stop_teacher
  [ -z "$(find . -name 'core*' -type f)" ]
  printf '%s\n' wrong-Passw0rd-c2FpbA literal-Passw0rd >> "$BATS_TEST_TMPDIR/secrets"

  # What holds them by right: the files they were given in, and what the teacher was sent.
  mkdir held && mv keys redis.password redis.password.wrong http.keys requests.jsonl held/
  run grep -rlaFf "$BATS_TEST_TMPDIR/secrets" --exclude-dir=held . titles
  [ "$status" -eq 1 ] || { echo "$output"; false; }
  grep -q "redis-Passw0rd" held/redis.password        # the search does find what is there
  grep -rlaFf "$BATS_TEST_TMPDIR/secrets" held | grep -q student.key
}

memory_of() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }

@test "rubbish on every port: nothing dies, memory stays, and it is counted" {
  seconds=${RT_NOISE_SECONDS:-4}
  noise=${PORT_NOISE:-$(dirname "$RETORT")/port-noise}
  make_recorded 100
  write_config 200000
  sed -i 's/eval_every: 10/eval_every: 2000/' retort.yaml
  start_run
  wait_until 60 at_least step 20
  control=$(sed -nE 's/.*coordinator.ready endpoint=[^ ]*:([0-9]+) .*/\1/p' run/logs/coordinator.log)
  http=$(sed -nE 's/.*coordinator.ready .*http=[^ ]*:([0-9]+) .*/\1/p' run/logs/coordinator.log)
  shard=$(sed -nE 's/.*server.ready .*endpoint=[^ ]*:([0-9]+)$/\1/p' run/logs/server-0.log)
  "$noise" --seconds 1 --seed 1 "$control" "$http" "$shard"     # first contact: buffers are made
  names="coordinator server-0"
  for name in $names; do eval "before_${name%%-*}=$(memory_of "$(pid_of $name)") pid_${name%%-*}=$(pid_of $name)"; done
  run "$noise" --seconds "$seconds" --seed 2 "$control" "$http" "$shard"
  [ "$status" -eq 0 ]
  echo "$output"
  [ "$(sed -nE 's/^connections ([0-9]+) .*/\1/p' <<< "$output")" -gt 20 ]
  for name in $names; do
    eval "before=\$before_${name%%-*} pid=\$pid_${name%%-*}"
    [ "$(pid_of $name)" = "$pid" ]
    after=$(memory_of "$pid")
    echo "$name: $before kB before, $after kB after"
    [ "$after" -lt $((before + 32768)) ]
  done
  HTTP=127.0.0.1:$http
  wait_until 10 metric_at_least messages_dropped_total 1
  wait_until 10 metric_at_least connections_failed_total 1
  echo "messages dropped $(metric messages_dropped_total), connections failed $(metric connections_failed_total)"
  step=$(stat_of step)
  if [ "${step%.*}" -lt 200000 ]; then wait_until 30 at_least step $((${step%.*} + 1)); fi
  no grep -q 'starting it again' run.err
  kill -TERM "$run_pid"; wait_run || true
}

@test "more silent connections than a process may usually have open: the run goes on" {
  noise=${PORT_NOISE:-$(dirname "$RETORT")/port-noise}
  make_recorded 100
  write_config 300
  ulimit -Sn 200
  start_run
  wait_until 60 at_least step 5
  control=$(sed -nE 's/.*coordinator.ready endpoint=[^ ]*:([0-9]+) .*/\1/p' run/logs/coordinator.log)
  shard=$(sed -nE 's/.*server.ready .*endpoint=[^ ]*:([0-9]+)$/\1/p' run/logs/server-0.log)
  "$noise" --seconds 8 --idle 800 "$control" "$shard" > noise.out 3>&- &
  pids+=("$!")
  wait_run || { show_logs; false; }
  [ "$(json run/summary.json steps)" -eq 300 ]
  no grep -q 'Too many open files' run/logs/*.log
}

@test "the program is hardened as far as its compiler can" {
  command -v readelf > /dev/null || skip "no readelf"
  readelf -hW "$RETORT" | grep -Eq 'Type: +DYN'
  readelf -dW "$RETORT" | grep -Eq 'BIND_NOW|FLAGS.*NOW'
  readelf -lW "$RETORT" | grep -q GNU_RELRO
  readelf -lW "$RETORT" | grep -E 'GNU_STACK' | grep -qv 'RWE'
  no grep -qE '^ +LOAD.*RWE' <(readelf -lW "$RETORT")
  readelf -sW "$RETORT" | grep -q __stack_chk_fail
  readelf -sW "$RETORT" | grep -Eq '__(memcpy|snprintf|vsnprintf|read|printf|fprintf)_chk'
  no grep -q TEXTREL <(readelf -dW "$RETORT")
}
