#!/usr/bin/env bats
# What is said of rationales beside each other and by a scoring model, as far as training and audit.

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

label() { "$RETORT" label --config retort.yaml "$@" > label.out 2>&1 || { cat label.out; return 1; }; }

@test "near duplicates and boilerplate are found beside the other rows, alike in every order of arrival" {
  make_recorded 90
  for i in $(seq 40); do
    printf '{"question":"Which number is %d?","answer":"%d","text":"As we can see from the text it is number %d. # %d"}\n' "$i" "$i" "$((i % 4))" "$i" >> recorded.jsonl
  done
  write_config 6
  beside='quality.drop_rationale_if=["near_duplicate","boilerplate"]'
  for teachers in 1 3; do
    "$RETORT" run --config retort.yaml --set "$beside" --set launch.teachers=$teachers --set run_dir=by-$teachers > run.out 2>&1 || { cat run.out; return 1; }
    "$RETORT" audit --config retort.yaml --set "$beside" --set run_dir=by-$teachers --verdicts verdicts-$teachers.jsonl --json > audit.json
  done
  cmp verdicts-1.jsonl verdicts-3.jsonl
  cmp by-1/plan.jsonl by-3/plan.jsonl
  cmp by-1/student/model.safetensors by-3/student/model.safetensors
  python3 - <<'PY'
import json
audit, result = json.load(open("audit.json")), json.load(open("by-3/result.json"))
verdicts = [json.loads(line) for line in open("verdicts-3.jsonl")]
rows = {r["id"]: r for r in map(json.loads, open("by-3/dataset/labels.jsonl"))}
survey = audit["quality"]["survey"]
assert survey["rationales"] == 130 and survey["near_duplicates"] >= 36 and survey["left_out"] == 0, survey
assert survey["boilerplate"] > 0 and survey["rationales_dropped"] == len(verdicts), survey
assert result["survey"]["rationales_dropped"] == len(verdicts), result["survey"]
for v in verdicts:
    if "near_duplicate_of" in v:       # the hashes in meta say so too
        a, b = (int(rows[i]["meta"]["sim_hash"], 16) for i in (v["id"], v["near_duplicate_of"]))
        assert bin(a ^ b).count("1") <= 3
    assert v["training"] == "without_rationale" and rows[v["id"]]["rationale"]
assert sum(rows[v["id"]]["input"].startswith("Which") for v in verdicts) >= 36
PY
  "$RETORT" run --config retort.yaml --set run_dir=all > run.out 2>&1 || { cat run.out; return 1; }
  no cmp -s all/plan.jsonl by-1/plan.jsonl                  # it does make a difference
  [ "$(json all/summary.json dataset_sha256)" = "$(json by-1/summary.json dataset_sha256)" ]
  run "$RETORT" audit --config retort.yaml --set run_dir=all --verdicts none.jsonl
  [ "$status" -eq 2 ]
  [[ "$output" == *"--verdicts: no filter looks at rationales"* ]]
}

@test "a rationale of another row makes its label less likely, and the scorer tells" {
  make_recorded 80
  # Three in ten get the reasoning of another row, with their own label: the injection test.
  python3 - <<'PY'
import json
rows = [json.loads(line) for line in open("recorded.jsonl")]
texts = [r["text"].split(" # ", 1) for r in rows]
with open("recorded.jsonl", "w") as out:
    for i, r in enumerate(rows):
        r["swapped"] = i % 10 < 3
        rationale = texts[(i + 17) % len(rows)][0] if r["swapped"] else texts[i][0]
        r["text"] = rationale + " # " + texts[i][1]
        out.write(json.dumps(r) + "\n")
PY
  write_config
  scorer=(--set "quality.scorer=$SOURCE/examples/arithmetic/teacher" --set $'quality.scorer_template=solve: {input}\n' --set 'quality.note_if=["not_useful"]')
  label "${scorer[@]}"
  python3 - <<'PY'
import json
swapped = {r["question"]: r["swapped"] for r in map(json.loads, open("recorded.jsonl"))}
scores = [(r["meta"]["usefulness"], swapped[r["input"]]) for r in map(json.loads, open("run/dataset/labels.jsonl"))]
good, bad = [s for s, is_bad in scores if not is_bad], [s for s, is_bad in scores if is_bad]
auc = sum((g > b) + 0.5 * (g == b) for g in good for b in bad) / len(good) / len(bad)

assert len(scores) == 80 and len(bad) == 24 and auc > 0.9, auc
PY
  "$RETORT" audit --config retort.yaml "${scorer[@]}" > audit.out
  grep -q 'usefulness .* nats that a rationale adds to its label, of 80' audit.out || { cat audit.out; false; }
  grep -q 'not_useful ' audit.out
  sha=$(json run/summary.json dataset_sha256)
  label "${scorer[@]}" --set run_dir=again --set launch.teachers=2
  [ "$(json again/summary.json dataset_sha256)" = "$sha" ]
  cmp <(sort run/dataset/labels.jsonl) <(sort again/dataset/labels.jsonl)
  run "$RETORT" config check --config retort.yaml --set 'quality.drop_rationale_if=["not_useful"]'
  [ "$status" -eq 2 ]
  [[ "$output" == *"set quality.scorer"* ]]
}
