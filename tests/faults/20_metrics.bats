#!/usr/bin/env bats
# Row 20: what /metrics says is what retort audit finds. docs/reliability.md

load helpers

metric() { sed -nE "s/^retort_$1 ([0-9.e+]+)\$/\1/p" metrics.txt; }

# bats test_tags=ci
@test "20: counters equal the audit, with rejected rows, repeats and a restart in between" {
  for i in 1 2 3; do
    printf '{"question":"What is missing in row %s?","answer":"1","text":"no marker here"}\n' "$i" >> recorded.jsonl
  done
  head -n 1 recorded.jsonl >> recorded.jsonl
  # Without a student the run waits behind its labels, and all can be compared.
  begin coordinator.before_ack:kill:4:1 --set launch.teachers=2 --set launch.students=0 --set run_dir=run
  wait_until 60 examples labelled 240
  wait_until 60 examples rejected 3
  address=$(sed -nE 's/^ *"http": *"([^"]*)".*/\1/p' run/coordinator.json)
  wait_until 10 all_labelled
  "$RETORT" audit --config retort.yaml --json > audit.json
  [ "$(metric 'examples\{state="labelled"\}')" = "$(json audit.json labelled)" ]
  [ "$(metric 'examples\{state="rejected"\}')" = "$(json audit.json rejected)" ]
  [ "$(metric 'examples\{state="pending"\}')" = "$(json audit.json pending)" ]
  [ "$(metric 'rows_read')" = "$(json audit.json rows)" ]
  [ "$(metric 'rows_duplicate')" = "$(json audit.json duplicates)" ]
  [ "$(metric 'rationales')" = "$(json audit.json rationales)" ]
  [ "$(metric 'rejected\{reason="no_marker"\}')" = 3 ]
  [ "$(metric 'queue_entries\{stream="labels"\}')" = 0 ]
  if command -v promtool > /dev/null; then promtool check metrics < metrics.txt; else well_formed; fi
  mapfile -t where < <(tr '\0' '\n' < "/proc/$(pid_of server-0)/cmdline" |
    sed -n 's/^\(net\.coordinator=.*\|queue\.url=.*\|run_dir=.*\)$/--set\n\1/p')
  start_extra student.out "$RETORT" student --config retort.yaml "${where[@]}" --name late
  finish
  [ "$(wc -l < run/dataset/labels.jsonl)" = "$(json audit.json labelled)" ]
  judge 20 "counters and audit" --strikes 1
}

@test "20: an id that stands in the dataset twice opens the audit" {
  cp -a "$base/run" run
  head -n 1 run/dataset/labels.jsonl >> run/dataset/labels.jsonl
  local code=0
  "$RETORT" audit --config retort.yaml --json > audit.json || code=$?
  [ "$code" -eq 5 ]
  [ "$(json audit.json twice)" -eq 1 ]
}

all_labelled() {
  "$RETORT" stats --config retort.yaml --metrics > metrics.txt
  [ "$(metric 'queue_entries\{stream="labels"\}')" = 0 ] && [ "$(metric 'examples\{state="labelled"\}')" = 240 ]
}

# What promtool looks at, as far as it matters: each family has help and type before its samples, names
# and units are as agreed, no sample twice.
well_formed() {
  python3 - <<'PY'
import re
kinds, seen = {}, set()
for line in open("metrics.txt"):
    line = line.rstrip("\n")
    if line.startswith("# TYPE "):
        name, kind = line.split()[2:4]
        assert name not in kinds, f"{name} twice"
        kinds[name] = kind
        assert (kind == "counter") == name.endswith("_total"), name
    elif not line.startswith("#"):
        m = re.fullmatch(r'(retort_[a-z_]+)(\{[^{}]*\})? (-?[0-9.e+-]+|NaN)', line)
        assert m, line
        family = re.sub("_(bucket|sum|count)$", "", m.group(1))
        assert m.group(1) in kinds or kinds.get(family) == "histogram", f"no type: {line}"
        key = (m.group(1), m.group(2))
        assert key not in seen, f"twice: {line}"
        seen.add(key)
PY
}
