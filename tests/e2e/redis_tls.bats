#!/usr/bin/env bats
# A run whose Redis speaks nothing but TLS. Where the system's hiredis has none (Debian 12), the tests are skipped;
# docs/security.md says how a build gets it.

load helpers
load certificates

setup() {
  make_folder
  pids=()
  make_recorded 60
  write_config 10
  run "$RETORT" doctor --config retort.yaml --set queue.url=rediss://127.0.0.1:1
  [[ "$output" != *"speaks no TLS to Redis"* ]] || skip "the system's hiredis has no TLS"
  make_authority ours; make_authority theirs
  make_certificate ours server IP:127.0.0.1,DNS:localhost
  make_certificate ours other DNS:other.example
  make_certificate ours client DNS:client
}

teardown() {
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  drop_folder
}

start_redis() { # start_redis CERTIFICATE ARGS...: sets PORT; without TLS only its socket, for the test
  PORT=$(free_port)
  redis-server --port 0 --tls-port "$PORT" --bind 127.0.0.1 --unixsocket "$folder/$1.sock" --save "" --appendonly no \
    --tls-cert-file "$1.crt" --tls-key-file "$1.key" --tls-ca-cert-file ours.pem "${@:2}" > redis.log 2>&1 3>&- &
  pids+=("$!")
  wait_until 10 test -S "$folder/$1.sock"
}

learn() { "$RETORT" run --config retort.yaml "$@" > run.out 2> run.err 3>&-; }

waits() { # waits TEXT ARGS...: the run stands still, and says why
  local text=$1; shift
  start_run "$@"
  wait_until 20 grep -qE "$text" run.err || { cat run.err; show_logs; return 1; }
  stop_run || true
  [ ! -s run/dataset/labels.jsonl ]
}

@test "a run goes through TLS, with a certificate of its own and a password, and ends as it does without" {
  start_redis server --tls-auth-clients yes --requirepass sesame
  export REDIS_PASSWORD=sesame
  learn --set "queue.url=rediss://localhost:$PORT" --set queue.ca_file=ours.pem \
    --set queue.cert_file=client.crt --set queue.key_file=client.key \
    --set 'queue.password=${REDIS_PASSWORD}' || { cat run.err; show_logs; false; }
  "$RETORT" audit --config retort.yaml > /dev/null
  [ "$(json run/summary.json steps)" -eq 10 ]
  learn --set run_dir=plain || { cat run.err; false; }
  for what in dataset_sha256 weights_sha256; do
    [ -n "$(json run/summary.json "$what")" ]
    [ "$(json run/summary.json "$what")" = "$(json plain/summary.json "$what")" ]
  done
}

@test "a Redis that cannot be trusted, or that does not trust us, is named with its reason" {
  start_redis server --tls-auth-clients yes
  url="queue.url=rediss://localhost:$PORT" cert="queue.cert_file=client.crt" key="queue.key_file=client.key"
  waits "certificate is not accepted" --set "$url" --set "$cert" --set "$key"
  waits "certificate is not accepted" --set "$url" --set "$cert" --set "$key" --set queue.ca_file=theirs.pem
  waits "queue.ca_file" --set "$url" --set "$cert" --set "$key" --set queue.ca_file=nowhere.pem
  waits "queue.cert_file and queue.key_file" --set "$url" --set queue.ca_file=ours.pem --set "$cert" --set queue.key_file=server.key
  start_redis other --tls-auth-clients no
  waits "certificate is not accepted.*[Hh]ostname mismatch" --set "queue.url=rediss://localhost:$PORT" --set queue.ca_file=ours.pem
}

@test "a run that waits for its Redis goes on once the right authority is there" {
  start_redis server --tls-auth-clients no
  cp theirs.pem authority.pem
  start_run --set "queue.url=rediss://localhost:$PORT" --set queue.ca_file=authority.pem
  wait_until 20 grep -q "certificate is not accepted" run.err || { cat run.err; show_logs; false; }
  cp ours.pem fresh.pem && mv fresh.pem authority.pem
  wait_run || { cat run.err; show_logs; false; }
  "$RETORT" audit --config retort.yaml > /dev/null
}

@test "doctor tells what TLS to Redis would meet" {
  start_redis server --tls-auth-clients no
  run "$RETORT" doctor --config retort.yaml --set "queue.url=rediss://127.0.0.1:$PORT" --set queue.ca_file=ours.pem
  [[ "$output" == *"ok    redis"* ]] || { echo "$output"; false; }
  run "$RETORT" doctor --config retort.yaml --set "queue.url=rediss://127.0.0.1:$PORT"
  [ "$status" -ne 0 ] && [[ "$output" == *"certificate is not accepted"* ]] || { echo "$output"; false; }
}
