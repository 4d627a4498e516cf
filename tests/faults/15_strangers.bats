#!/usr/bin/env bats
# Row 15: strangers at the doors: no key, a wrong one, a wrong password, floods. docs/reliability.md

load helpers

where() { tr '\0' '\n' < "/proc/$(pid_of student-0)/cmdline" | sed -n 's/^\(net\.coordinator=.*\|queue\.url=.*\|run_dir=.*\)$/--set\n\1/p'; }

member() { "$RETORT" stats --config retort.yaml --json 2>/dev/null | grep -q "\"name\": *\"$1\""; }

metric() { "$RETORT" stats --config retort.yaml --metrics 2>/dev/null | sed -nE "s/^retort_$1 ([0-9.e+]+)\$/\1/p"; }

@test "15: a student without the cluster's key stays out, and comes in once it has it" {
  "$RETORT" keygen --output cluster.key
  "$RETORT" keygen --output other.key
  begin student.after_read:delay=150:1:0 "${CLUSTER[@]}" --set net.curve_key_file="$folder/cluster.key"
  wait_until 60 at_least step 2
  mapfile -t place < <(where)
  start_extra plain.out "$RETORT" student --config retort.yaml "${CLUSTER[@]}" "${place[@]}" --name plain
  start_extra wrong.out "$RETORT" student --config retort.yaml "${CLUSTER[@]}" "${place[@]}" --name wrong --set net.curve_key_file="$folder/other.key"
  wait_until 30 denied
  note_strike stranger
  no member plain
  no member wrong
  cp cluster.key other.key
  start_extra right.out "$RETORT" student --config retort.yaml "${CLUSTER[@]}" "${place[@]}" --name right --set net.curve_key_file="$folder/other.key"
  wait_until 10 member right
  finish
  judge_same 15 "no key, wrong key" --strikes 2
}

denied() { local n; n=$(($(metric connections_failed_total) + $(metric connections_denied_total))); [ "$n" -gt 0 ]; }

@test "15: hundreds of half-open connections" {
  begin student.after_read:delay=60:1:0 "${CLUSTER[@]}"
  wait_until 60 at_least step 2
  mapfile -t all < <(sed -nE 's/.*"(tcp:\/\/)?127\.0\.0\.1:([0-9]+)".*/\2/p' run/coordinator.json)
  start_extra flood.out python3 - "${all[@]}" <<'PY'
import socket, sys, time
ports, held = [int(p) for p in sys.argv[1:]], []
end = time.monotonic() + 5
while time.monotonic() < end:
    for port in ports:
        try:
            held.append(socket.create_connection(("127.0.0.1", port), timeout=1))
        except OSError:
            pass
    if len(held) > 150:
        held.pop(0).close()
print(len(held))
PY
  note_strike flood
  finish
  judge_same 15 "half-open connections" --strikes 2
}

@test "15: a wrong password of Redis is named, and the right one heals it" {
  start_redis --requirepass right
  echo wrong > password
  begin "" "${CLUSTER[@]}" --set "$(OWN_REDIS)" --set "queue.password=file:$folder/password"
  wait_until 60 grep -rqE "password was not accepted" run/logs run.err
  note_strike password
  echo right > password
  finish
  judge_same 15 "wrong password" --strikes 1
}
