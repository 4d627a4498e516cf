#!/usr/bin/env bats
# Whole answers over TLS: authorities and certificates made here, socat before the teacher of the
# tests. And proxies, of both kinds.

load helpers
load certificates

setup() {
  command -v socat > /dev/null && command -v openssl > /dev/null || skip "needs socat and openssl"
  make_folder
  make_recorded 40
  write_config 10
  sed -i '/^teacher:/d' retort.yaml
  cat >> retort.yaml <<'YAML'
teacher: {backend: openai, base_url: "${SITE}/v1", model: far-away, api_key: "${TEACHER_KEY}"}
cache: {dir: "off"}
YAML
  export TEACHER_KEY=sesame
  start_teacher 0 sesame
}

teardown() {
  # Each in a process group of its own: socat has a child for each connection.
  for pid in ${helper_pids:-}; do kill -- "-$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  stop_teacher
  [ -z "${folder:-}" ] || drop_folder
}

# TLS at a port of its own, plain HTTP to the teacher behind it. Sets PORT.
start_front() { # start_front CERTIFICATE
  local behind=${BASE_URL#http://}
  : > front.err
  setsid socat -d -d openssl-listen:0,bind=127.0.0.1,cert="$1",verify=0,fork,reuseaddr \
    "tcp:${behind%/v1}" 2>> front.err 3>&- &
  helper_pids="${helper_pids:-} $!"
  wait_until 10 grep -q "listening on" front.err
  PORT=$(sed -nE 's/.*listening on AF=2 127\.0\.0\.1:([0-9]+).*/\1/p' front.err | head -n 1)
}

label() { "$RETORT" label --config retort.yaml "$@" > label.out 2> label.err 3>&-; }

refused() { # refused TEXT ARGS...: the run ends at once with exit code 2, and nothing was asked
  local code=0 text=$1; shift
  label "$@" || code=$?
  [ "$code" -eq 2 ] || { echo "exit code $code"; cat label.err; false; }
  grep -qE "$text" label.err || { cat label.err; false; }
  [ ! -s requests.jsonl ] || { echo "something was sent"; false; }
}

@test "answers come over TLS from a server whose authority is named" {
  make_authority ours
  make_certificate ours server IP:127.0.0.1,DNS:localhost
  start_front server.pem
  export SITE="https://localhost:$PORT"
  label --set teacher.ca_file=ours.pem || { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/labels.jsonl)" -eq 40 ]
  [ "$(wc -l < requests.jsonl)" -eq 40 ]
  "$RETORT" audit --config retort.yaml > /dev/null
  export SITE="https://127.0.0.1:$PORT"
  label --set run_dir=again --set teacher.ca_file=ours.pem || { cat label.err; false; }
  [ "$(json again/summary.json dataset_sha256)" = "$(json run/summary.json dataset_sha256)" ]
  no grep -rq sesame run again label.err
}

@test "an authority that nobody named, and a certificate for another host, are refused before anything is sent" {
  make_authority ours; make_authority theirs
  make_certificate ours server IP:127.0.0.1,DNS:localhost
  make_certificate ours other DNS:other.example
  start_front server.pem
  export SITE="https://localhost:$PORT"
  refused "certificate is not accepted .teacher.ca_file names another authority"
  refused "certificate is not accepted .*issuer certificate" --set teacher.ca_file=theirs.pem
  refused "teacher.ca_file: open nowhere.pem" --set teacher.ca_file=nowhere.pem
  refused "teacher.ca_file: retort.yaml holds no certificate" --set teacher.ca_file=retort.yaml
  start_front other.pem
  export SITE="https://localhost:$PORT"
  refused "certificate is not accepted .*localhost" --set teacher.ca_file=ours.pem
  # Whoever asks for it gets it, and is told.
  label --set teacher.tls_verify=false || { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/labels.jsonl)" -eq 40 ]
  grep -q "teacher.tls_not_verified" run/logs/*.log
}

@test "plain HTTP goes through the proxy that is named, with its login" {
  export SITE=http://teacher.invalid LOGIN=someone:secret-word      # a name that only the proxy could know
  proxy=${BASE_URL%/v1}
  label --set "teacher.proxy=$proxy" --set 'teacher.proxy_login=${LOGIN}' || { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/labels.jsonl)" -eq 40 ]
  [ "$(grep -c 'POST http://teacher.invalid/v1/chat/completions HTTP/1.1' requests.jsonl)" -eq 40 ]
  login=$(printf someone:secret-word | base64)
  [ "$(grep -c "Proxy-Authorization: Basic $login" requests.jsonl)" -eq 40 ]
  no grep -rq secret-word run label.err
}

@test "TLS goes through a tunnel of the proxy, which sees neither key nor prompt" {
  cat > proxy.py <<'PY'
import socket, sys, threading
def pump(a, b, log):
    while data := a.recv(65536):
        log.write(data); log.flush(); b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve(client):
    head = b""
    while b"\r\n\r\n" not in head: head += client.recv(65536)
    log.write(head); log.flush()
    if b"Proxy-Authorization: Basic " + sys.argv[1].encode() not in head:
        client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"); client.close(); return
    host, port = head.split()[1].decode().rsplit(":", 1)
    server = socket.create_connection(("127.0.0.1", int(port)))
    client.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
    threading.Thread(target=pump, args=(client, server, log), daemon=True).start()
    pump(server, client, log)
log, listener = open("proxy.log", "wb"), socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
  make_authority ours
  make_certificate ours server DNS:teacher.invalid
  start_front server.pem
  export SITE="https://teacher.invalid:$PORT" LOGIN=someone:secret-word
  setsid python3 proxy.py "$(printf %s "$LOGIN" | base64)" > proxy.out 2> proxy.err 3>&- &
  helper_pids="$helper_pids $!"
  wait_until 10 test -s proxy.out
  proxy="http://127.0.0.1:$(cat proxy.out)"
  refused "teacher.proxy_login" --set "teacher.proxy=$proxy" --set teacher.ca_file=ours.pem
  label --set "teacher.proxy=$proxy" --set 'teacher.proxy_login=${LOGIN}' --set teacher.ca_file=ours.pem ||
    { cat label.err; show_logs; false; }
  [ "$(wc -l < run/dataset/labels.jsonl)" -eq 40 ]
  grep -aq "^CONNECT teacher.invalid:$PORT" proxy.log
  no grep -aqE "sesame|far-away" proxy.log
}

@test "doctor tells whether the certificate is accepted, before anything is sent" {
  make_authority ours; make_authority theirs
  make_certificate ours server IP:127.0.0.1
  start_front server.pem
  export SITE="https://127.0.0.1:$PORT"
  run "$RETORT" doctor --config retort.yaml --set teacher.ca_file=ours.pem
  [[ "$output" == *"ok    teacher.server "*"its certificate is good"* ]] || { echo "$output"; false; }
  for other in teacher.ca_file=theirs.pem teacher.ca_file=; do
    run "$RETORT" doctor --config retort.yaml --set "$other"
    [ "$status" -eq 2 ] || { echo "$output"; false; }
    [[ "$output" == *"fail  teacher.server "*"certificate is not accepted"*"teacher.ca_file"* ]] || { echo "$output"; false; }
  done
  # Only the list of models was asked for, and only where the certificate was good.
  [ "$(grep -c . requests.jsonl)" -eq 1 ] && grep -q 'GET /v1/models' requests.jsonl || { cat requests.jsonl; false; }
}
