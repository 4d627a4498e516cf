#!/usr/bin/env bats
# Teachers that think: where servers put the thought, prompts of both kinds, answers that never come,
# and zero-shot chain of thought in two calls. Each is a run of the whole program.

load helpers

setup() {
  make_folder
  make_recorded 60
  write_config 10
  sed -i '/^teacher:/d' retort.yaml
  cat >> retort.yaml <<'YAML'
teacher: {backend: openai, base_url: "${BASE_URL}", model: thinker, max_new_tokens: 256}
cache: {dir: cache}
YAML
}
teardown() { stop_teacher; drop_folder; }

# The recording in the forms that servers use, row after row; "why" says what must become of it.
reform() { # reform PYTHON: a function form(i, row, rationale, label) that changes row
  cat > reform.py <<PY
import json, sys
rows = [json.loads(line) for line in open("recorded.jsonl")]
def choice(content, finish="stop", **message):
    return {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
$1
for i, row in enumerate(rows):
    rationale, label = row["text"].split("\n\nQ:")[0].rsplit(" # ", 1)
    row["why"] = rationale
    form(i, row, rationale, label)
open("recorded.jsonl", "w").writelines(json.dumps(row) + "\n" for row in rows)
PY
  python3 reform.py
}

add_row() { printf '%s\n' "$1" >> recorded.jsonl; } # add_row JSON

run_all() { "$RETORT" run --config retort.yaml "$@" > run.out 2> run.err 3>&- || { cat run.err; show_logs; false; }; }

@test "the thought is found wherever the server puts it, and trained on" {
  reform '
def form(i, row, rationale, label):
    half = len(rationale) // 2
    row["source"], row["choice"] = [
        ("reasoning", choice("# " + label, reasoning=rationale)),
        ("reasoning_content", choice("# " + label, reasoning_content=rationale)),
        ("reasoning_details", choice("# " + label, reasoning_details=[
            {"type": "reasoning.text", "text": rationale[:half]}, {"type": "reasoning.text", "text": rationale[half:]}])),
        ("think", choice("<think>\n" + rationale + "\n</think>\n\n# " + label)),
        ("think", choice(rationale + "\n</think>\n# " + label)),
        ("text", choice("It must be so. # " + label, reasoning=rationale)),
        (None, choice(rationale + " # " + label)),
    ][i % 7]
    if row["source"] == "text": row["why"] = "It must be so."
    row["usage"] = {"prompt_tokens": 20, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 6}}
'
  start_teacher 0
  run_all
  "$RETORT" audit --config retort.yaml > /dev/null
  [ "$(json run/summary.json labelled)" -eq 60 ]
  [ -s run/student/model.safetensors ]
  python3 - <<'PY'
import json
rows = {r["question"]: r for r in map(json.loads, open("recorded.jsonl"))}
labels = [json.loads(line) for line in open("run/dataset/labels.jsonl")]
assert len(labels) == 60
for r in labels:
    row, meta = rows[r["input"]], r["meta"]
    assert r["label"] == row["answer"], r
    assert r["rationale"] == row["why"], (r, row["why"])
    assert meta.get("rationale_source") == row["source"], (meta, row["source"])
    assert meta["tokens"] == {"prompt": 20, "completion": 10, "reasoning": 6}, meta
PY
}

@test "a classic prompt shows worked examples, a reasoning prompt marks its parts and tells nobody to think" {
  printf '{"input":"One and one?","rationale":"It is two.","label":"# 2"}\n' > shots.jsonl
  start_teacher 0
  run_all --set 'prompt.instruction=Think step by step.' --set prompt.exemplars=shots.jsonl
  mv requests.jsonl classic.jsonl; mv run classic
  stop_teacher
  start_teacher 0
  run_all --set prompt.kind=reasoning --set 'prompt.instruction=One sentence of reason then # and the number.'
  [ "$(json run/summary.json labelled)" -eq 60 ]
  [ "$(json run/summary.json dataset_sha256)" = "$(json classic/summary.json dataset_sha256)" ]
  python3 - <<'PY'
import json
def load(name): return [json.loads(line)["body"] for line in open(name)]
questions = {json.loads(line)["question"] for line in open("recorded.jsonl")}
classic, plain = load("classic.jsonl"), load("requests.jsonl")
assert len(classic) == len(plain) == 60
for body in classic:
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["system", "user"], roles
    assert body["messages"][0]["content"] == "Think step by step."
    shot, question = body["messages"][1]["content"].strip().rsplit("\n\n", 1)
    assert shot == "One and one?\nIt is two. # 2", shot
    assert question in questions, question
for body in plain:
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["developer", "user"], roles
    text = body["messages"][1]["content"].strip()
    assert text.startswith("<input>\n") and text.endswith("\n</input>"), text
    assert text[8:-9] in questions, text
    assert "step by step" not in json.dumps(body).lower()
meta = [json.loads(open(f + "/dataset/labels.jsonl").readline())["meta"] for f in ("classic", "run")]
assert meta[0]["prompt_hash"] != meta[1]["prompt_hash"]
PY
}

@test "each way to have no answer is a rejection with a code of its own, and is shown with what there was" {
  add_row '{"question":"Refuse?","answer":"1","choice":{"index":0,"finish_reason":"stop","message":{"content":null,"refusal":"I cannot help with that."}}}'
  add_row '{"question":"Filtered answer?","answer":"1","choice":{"index":0,"finish_reason":"content_filter","message":{"content":"Some"}}}'
  add_row '{"question":"Filtered prompt?","answer":"1","status":400,"error":{"message":"The prompt was flagged.","code":"content_filter"}}'
  add_row '{"question":"Cut thought?","answer":"1","choice":{"index":0,"finish_reason":"length","message":{"content":null,"reasoning":"First of all, let"}}}'
  add_row '{"question":"Open thought?","answer":"1","choice":{"index":0,"finish_reason":"stop","message":{"content":"<think>It may be # 4 or"}}}'
  add_row '{"question":"Hidden thought?","answer":"1","choice":{"index":0,"finish_reason":"length","message":{"content":""}},"usage":{"prompt_tokens":20,"completion_tokens":256,"completion_tokens_details":{"reasoning_tokens":256}}}'
  add_row '{"question":"Cut answer?","answer":"1","choice":{"index":0,"finish_reason":"length","message":{"content":"It is # 12"}}}'
  start_teacher 0
  run_all
  "$RETORT" audit --config retort.yaml --json > audit.json || { cat audit.json; false; }
  [ "$(json audit.json labelled)" -eq 60 ]
  [ "$(json audit.json rejected)" -eq 7 ]
  [ "$(json audit.json pending)" -eq 0 ]
  run "$RETORT" audit --config retort.yaml
  for reason in "refused" "content_filter" "truncated_reasoning" "truncated"; do
    [[ "$output" == *"$reason"* ]] || { echo "$reason: $output"; false; }
  done
  run "$RETORT" rejections --config retort.yaml
  [[ "$output" == *"7 of 67 rows were rejected"* ]] || { echo "$output"; false; }
  for count in "1 refused" "2 content_filter" "3 truncated_reasoning" "1 truncated"; do
    [[ "$output" == *"$count"* ]] || { echo "$count: $output"; false; }
  done
  [[ "$output" == *"I cannot help with that."* ]] || { echo "$output"; false; }
  "$RETORT" rejections --config retort.yaml --json | python3 -c '
import json, sys
rows = {r["input"]: r for r in map(json.loads, sys.stdin)}
def of(question): return rows[question]["reason"], rows[question].get("raw")
assert of("Refuse?") == ("refused", "I cannot help with that."), of("Refuse?")
assert of("Filtered answer?") == ("content_filter", "Some"), of("Filtered answer?")
assert of("Filtered prompt?") == ("content_filter", ""), of("Filtered prompt?")
assert of("Cut thought?") == ("truncated_reasoning", "First of all, let"), of("Cut thought?")
assert of("Open thought?") == ("truncated_reasoning", "It may be # 4 or"), of("Open thought?")
assert of("Hidden thought?") == ("truncated_reasoning", ""), of("Hidden thought?")
assert of("Cut answer?") == ("truncated", "It is # 12"), of("Cut answer?")
assert all("label" not in r and r["meta"]["teacher"] for r in rows.values())'
}

@test "two calls: the first reasons, the second gives the label, and neither is paid twice" {
  reform '
def form(i, row, rationale, label):
    row["text"], row["extract"] = rationale, label + "." if i % 2 else "# " + label
'
  start_teacher 0
  run_all --set teacher.two_step=true --set limits.price_input=1 --set limits.price_output=2
  [ "$(json run/summary.json labelled)" -eq 60 ]
  "$RETORT" audit --config retort.yaml > /dev/null
  python3 - <<'PY'
import json
asked = [json.loads(line)["body"] for line in open("requests.jsonl")]
first = [b for b in asked if len(b["messages"]) == 1]
second = [b for b in asked if len(b["messages"]) == 3]
assert len(first) == len(second) == 60 and len(asked) == 120
assert all(b["messages"][0]["content"].endswith("\nLet's think step by step.") for b in asked)
assert all(b["messages"][2]["content"] == "Therefore, the answer is" for b in second)
rows = {r["question"]: r for r in map(json.loads, open("recorded.jsonl"))}
for r in map(json.loads, open("run/dataset/labels.jsonl")):
    row, meta = rows[r["input"]], r["meta"]
    assert (r["label"], r["rationale"]) == (row["answer"], row["why"]), r
    assert meta["rationale_source"] == "two_step" and "cached" not in meta, meta
    assert meta["tokens"] == {"prompt": 40, "completion": 20}, meta
    assert abs(meta["cost"] - (40 * 1 + 20 * 2) / 1e6) < 1e-12, meta
PY
  # Again: both answers of each row are there.
  run_all --set teacher.two_step=true --set run_dir=again
  [ "$(wc -l < requests.jsonl)" -eq 120 ]
  [ "$(json again/summary.json weights_sha256)" = "$(json run/summary.json weights_sha256)" ]
  [ "$(grep -c '"cached":1' again/dataset/labels.jsonl)" -eq 60 ]
  # Asked for the label in other words, the thoughts are those that were paid for.
  run_all --set teacher.two_step=true --set run_dir=third --set 'teacher.extract_text=So it is'
  [ "$(wc -l < requests.jsonl)" -eq 180 ]
  [ "$(tail -n 60 requests.jsonl | grep -c 'So it is')" -eq 60 ]
  [ "$(json third/summary.json dataset_sha256)" = "$(json run/summary.json dataset_sha256)" ]
}
