#!/usr/bin/env bats
# What a run shows over HTTP: curves, events, rows, a stream of all. docs/stats.md

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

address() { sed -nE 's/^ *"http": *"([^"]*)".*/\1/p' run/coordinator.json; }
all_told() { [ "$(asked /api/stats 'a["rows"]["labelled"] + a["rows"]["rejected"]')" = 121 ]; }
ready() { [ "$(curl -s "http://$(address)/readyz")" = ready ]; }
# Asks for PATH and gives what a line of Python makes of the answer `a`.
asked() { curl -sf "http://$(address)$1" | python3 -c "import json, sys; a = json.load(sys.stdin); print($2)"; }

@test "curves, events, rows and a stream tell of a run, and the curves go on after a restart" {
  make_recorded 120
  printf '{"question":"What is missing?","answer":"1","text":"no marker here"}\n' >> recorded.jsonl
  write_config 100000
  sed -i 's/eval_every: 10/eval_every: 40/' retort.yaml
  start_run
  wait_until 60 at_least step 45
  wait_until 60 all_told
  ready
  curl -sN --max-time 4 "http://$(address)/api/stream" > stream.txt || true
  python3 - <<'PY'
import json
seen = {}
for block in open("stream.txt").read().split("\n\n")[:-1]:
    if block.startswith(":"):
        continue
    name, data = block.split("\n")
    assert name.startswith("event: ") and data.startswith("data: "), block
    seen.setdefault(name[7:], []).append(json.loads(data[6:]))
assert 3 <= len(seen["stats"]) <= 5, len(seen["stats"])
assert seen["rows"][-1]["rejected"][0]["reason"] == "no_marker"
assert len(seen["point"]) >= 2
seq = [p["seq"] for p in seen["point"]]
assert seq == sorted(set(seq)), seq
PY
  [ "$(asked /api/rows 'len(a["labelled"])')" = 50 ]
  [ "$(asked /api/rows '[r["gold"] == r["label"] for r in a["labelled"]].count(False)')" = 0 ]
  [ "$(asked /api/events 'sorted({"run", "member", "checkpoint", "evaluation"} - {e["kind"] for e in a["events"]})')" = "[]" ]
  [ "$(asked /api/stats 'a["accuracy"]["teacher"]["n"]')" = 120 ]
  [ "$(asked /api/stats 'list(a["losses"])')" = "['solve']" ]
  # Speed is real, and so are the histograms of what took how long.
  [ "$(asked /api/stats '0 < a["compute"]["peak_share"] < 2 and a["compute"]["mflops_per_s"] > 0')" = True ]
  [ "$(asked /api/history 'max(p["mflops_per_s"] or 0 for p in a["points"]) > 0')" = True ]
  before=$(count_of student_compute_seconds)
  [ "$before" -ge 45 ]
  for name in student_pull_seconds student_push_seconds server_apply_seconds; do [ "$(count_of $name)" -gt 0 ]; done
  if command -v promtool > /dev/null; then curl -sf "http://$(address)/metrics" | promtool check metrics; fi

  last=$(asked /api/history 'a["seq"]'); points=$(asked /api/history 'len(a["points"])')
  [ "$(asked "/api/history?since=$last" 'len([p for p in a["points"] if p["seq"] <= '"$last"'])')" = 0 ]

  kill -KILL "$(pid_of student-0)"
  wait_until 20 [ "$(asked /api/stats 'a["restarts"]')" != x ]
  wait_until 20 restarted
  # What the dead one told is not lost, and the new one's comes on top.
  [ "$(count_of student_compute_seconds)" -ge "$before" ]
  wait_until 30 counted_on
  kill -TERM "$run_pid"; wait_run || true
  tail -n 1 run/history.jsonl | grep -q '^{"kind":"point",'
  printf '{"kind":"point","seq":9999,"ti' >> run/history.jsonl   # a torn end
  start_run
  wait_until 60 ready
  [ "$(asked /api/history 'len(a["points"])')" -gt "$points" ]
  [ "$(asked /api/history 'a["seq"]')" -gt "$last" ]
  [ "$(asked /api/history '[p["t"] for p in a["points"]] == sorted(p["t"] for p in a["points"])')" = True ]
  [ "$(asked /api/rows 'len(a["labelled"])')" = 50 ]
}

# How many durations a histogram of /metrics has.
count_of() { curl -sf "http://$(address)/metrics" | sed -n "s/^retort_$1_count //p"; }
counted_on() { [ "$(count_of student_compute_seconds)" -gt "$((before + 3))" ]; }
restarted() { [ "$(asked /api/stats 'a["restarts"]')" = 1 ]; }

@test "with keys, the page is open and the numbers are not" {
  echo key-of-the-page > http.keys
  make_recorded 40
  write_config 100000
  sed -i 's|^net: {|net: {http_key_file: http.keys, |' retort.yaml
  start_run
  wait_until 30 test -s run/coordinator.json
  url=http://$(address)
  for path in / /healthz; do [ "$(curl -so /dev/null -w '%{http_code}' "$url$path")" = 200 ]; done
  for path in /api/stats /api/history /api/events /api/rows /api/stream /metrics; do
    [ "$(curl -so /dev/null -w '%{http_code}' "$url$path")" = 401 ]
  done
  [ "$(curl -so /dev/null -w '%{http_code}' -H 'Authorization: Bearer key-of-the-page' "$url/api/events")" = 200 ]
  # A stream ends when its key may have been taken away.
  curl -sN --max-time 20 -H 'Authorization: Bearer key-of-the-page' "$url/api/stream" > stream.txt 3>&- &
  reader=$!
  wait_until 10 grep -q '^event: stats' stream.txt
  echo another-key > http.keys
  wait "$reader"
  # What is there already is not sent twice.
  etag=$(curl -si "$url/" | sed -nE 's/^[Ee][Tt]ag: *([^\r]*).*/\1/p')
  [ "$(curl -so /dev/null -w '%{http_code}' -H "If-None-Match: $etag" "$url/")" = 304 ]
}
