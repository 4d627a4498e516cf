#!/usr/bin/env bats
# Open questions out as batch files, a provider's answers back into the cache, and a run that then
# asks nobody.

load helpers

setup() {
  make_folder
  # A provider's batch service as a script: answers in any order, some lines failed or expired.
  cat > provider.py <<'PY'
import json, random, re, sys
kind, source, results, errors = sys.argv[1:5]
good, bad = [], []
for i, line in enumerate(open(source)):
    ask = json.loads(line)
    assert ask["method"] == "POST" and ask["url"] == "/v1/chat/completions" and len(ask["custom_id"]) <= 64
    question = ask["body"]["messages"][-1]["content"]
    n = int(re.search(r"row (\d+)", question).group(1))
    text = f"It is so. # {n}"
    if kind == "first" and n % 10 == 3:
        bad.append({"custom_id": ask["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "too late"}})
        continue
    if kind == "first" and n % 10 == 5:
        bad.append({"custom_id": ask["custom_id"], "error": None, "response": {"status_code": 500, "body": {"error": {"message": "x", "code": "server_error"}}}})
        continue
    if kind == "first" and n % 10 == 7: text = "no marker"
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}
    good.append({"id": f"b{i}", "custom_id": ask["custom_id"], "response": {"status_code": 200, "request_id": "r", "body": body}, "error": None})
random.Random(1).shuffle(good)
for name, rows in ((results, good), (errors, bad)):
    with open(name, "w") as f:
        f.write("\n".join(json.dumps(r) for r in rows))       # no line end behind the last
PY
  for i in $(seq 0 99); do printf '{"input":"row %d"}\n' "$i"; done > corpus.jsonl
  # Port 9 answers nobody: what is labelled here was not asked of a server.
  cat > retort.yaml <<'YAML'
name: small
run_dir: run
task: {answer: number, markers: ["#"]}
corpus: {files: [corpus.jsonl]}
teacher: {backend: openai, base_url: "http://127.0.0.1:9/v1", model: big, api_key: "${RT_NO_SUCH_KEY}"}
label: {shard_size: 20}
YAML
}
teardown() { drop_folder; }

field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }

@test "questions go out, answers come back in parts, and the run asks nobody" {
  "$RETORT" batch write --output batch-1 --json > write.json || { cat write.json; false; }
  [ "$(field write.json requests)" -eq 100 ]
  [ "$(wc -l < batch-1/batch-0001.jsonl)" -eq 100 ]
  [ "$(grep -o '"custom_id":"[^"]*"' batch-1/batch-0001.jsonl | sort -u | wc -l)" -eq 100 ]
  "$RETORT" batch write --output again > /dev/null          # the same questions, byte for byte
  cmp batch-1/batch-0001.jsonl again/batch-0001.jsonl

  python3 provider.py first batch-1/batch-0001.jsonl results.jsonl errors.jsonl
  "$RETORT" batch read errors.jsonl results.jsonl --json > read.json || { cat read.json; false; }
  [ "$(field read.json taken)" -eq 80 ] || { cat read.json; false; }
  [ "$(field read.json failed)" -eq 20 ]
  [ "$(field read.json missing)" -eq 30 ]                   # 20 failed, and 10 second attempts
  grep -q '"batch_expired":10' read.json
  "$RETORT" batch read results.jsonl errors.jsonl --json > read.json     # once more: nothing new
  [ "$(field read.json taken)" -eq 0 ]
  [ "$(field read.json known)" -eq 80 ] || { cat read.json; false; }
  "$RETORT" label --dry-run --json > dry.json
  grep -q '"cached": 80' dry.json || { cat dry.json; false; }

  "$RETORT" batch write --output batch-2 --json > write.json
  [ "$(field write.json requests)" -eq 30 ] || { cat write.json; false; }
  [ "$(field write.json known)" -eq 80 ]
  run "$RETORT" batch write --output batch-3 batch-2/batch-0001.jsonl
  [ "$status" -eq 0 ]
  [[ "$output" == *"nothing to ask"* ]] || { echo "$output"; false; }
  [[ "$output" == *"30 requests are under way"* ]]
  [ ! -e batch-3 ]
  python3 provider.py second batch-2/batch-0001.jsonl results.jsonl errors.jsonl
  "$RETORT" batch read results.jsonl > read.out || { cat read.out; false; }
  grep -q '^0 requests are left' read.out || { cat read.out; false; }

  RT_NO_SUCH_KEY=k "$RETORT" label > label.out 2>&1 || { cat label.out; show_logs; false; }
  [ "$(json run/summary.json labelled)" -eq 100 ]
  "$RETORT" audit > /dev/null
}

@test "two steps: the second batch is written from the answers to the first, out of compressed files" {
  cat > thinker.py <<'PY'
import gzip, json, re, sys
source, results = sys.argv[1:3]
with gzip.open(results, "wt") as out:
    for line in open(source):
        ask = json.loads(line)
        messages = ask["body"]["messages"]
        n = int(re.search(r"row (\d+)", messages[0]["content"]).group(1))
        if len(messages) == 1:
            if n % 10 == 3: continue                                  # expired, say
            content, finish = f"Row {n} it is.", "length" if n % 10 == 5 else "stop"
        else:
            assert messages[1] == {"role": "assistant", "content": f"Row {n} it is."}, messages
            content, finish = str(n), "stop"
        body = {"choices": [{"index": 0, "finish_reason": finish, "message": {"content": content}}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 5}}
        print(json.dumps({"custom_id": ask["custom_id"], "response": {"status_code": 200, "body": body}}), file=out)
PY
  sed -i 's/model: big,/model: big, two_step: true,/' retort.yaml
  run "$RETORT" batch write --output batch-1
  [[ "$output" == *"wrote 100 requests"* && "$output" == *"the second is written once the first is answered"* ]] ||
    { echo "$output"; false; }
  python3 thinker.py batch-1/batch-0001.jsonl first.jsonl.gz
  "$RETORT" batch read first.jsonl.gz --json > read.json
  [ "$(field read.json taken)" -eq 90 ] || { cat read.json; false; }
  [ "$(field read.json missing)" -eq 90 ]                   # 80 second questions, 10 thoughts
  "$RETORT" batch read first.jsonl.gz --json > read.json
  [ "$(field read.json taken)" -eq 0 ] && [ "$(field read.json known)" -eq 90 ] || { cat read.json; false; }
  "$RETORT" batch write --output batch-2 --json > write.json
  [ "$(field write.json requests)" -eq 90 ] || { cat write.json; false; }
  [ "$(grep -c 'Therefore, the answer is' batch-2/batch-0001.jsonl)" -eq 80 ]
  sed -i 's/n % 10 == 3/False/' thinker.py
  python3 thinker.py batch-2/batch-0001.jsonl second.jsonl.gz
  "$RETORT" batch read second.jsonl.gz first.jsonl.gz > read.out || { cat read.out; false; }
  grep -q '^10 requests are left' read.out || { cat read.out; false; }
  "$RETORT" batch write --output batch-3 --json > write.json # the second step of the ten that came late
  [ "$(grep -c 'Therefore, the answer is' batch-3/batch-0001.jsonl)" -eq 10 ]
  [ "$(wc -l < batch-3/batch-0001.jsonl)" -eq 10 ]
  python3 thinker.py batch-3/batch-0001.jsonl third.jsonl.gz
  "$RETORT" batch read first.jsonl.gz second.jsonl.gz third.jsonl.gz --json > read.json
  [ "$(field read.json missing)" -eq 0 ] && [ "$(field read.json foreign)" -eq 0 ] || { cat read.json; false; }
  [ "$(field read.json known)" -eq 180 ] || { cat read.json; false; }
  "$RETORT" label --dry-run --json > dry.json
  grep -q '"cached": 100' dry.json || { cat dry.json; false; }
  RT_NO_SUCH_KEY=k "$RETORT" label > label.out 2>&1 || { cat label.out; show_logs; false; }
  [ "$(json run/summary.json labelled)" -eq 90 ]
  python3 - <<'PY'
import json
for r in map(json.loads, open("run/dataset/labels.jsonl")):
    n = r["input"].split()[1]
    assert (r["label"], r["rationale"]) == (n, f"Row {n} it is."), r
    assert r["meta"]["tokens"] == {"prompt": 18, "completion": 10} and r["meta"]["cached"] == 1, r["meta"]
PY
  [ "$("$RETORT" rejections --json --reason truncated_reasoning | wc -l)" -eq 10 ]
  head -c 300 first.jsonl.gz > torn.jsonl.gz
  run "$RETORT" batch read torn.jsonl.gz
  [ "$status" -ne 0 ]
  [[ "$output" == *"torn.jsonl.gz"* ]] || { echo "$output"; false; }
}

@test "answers to other questions are not taken" {
  "$RETORT" batch write --output batch-1 > /dev/null
  python3 provider.py second batch-1/batch-0001.jsonl results.jsonl errors.jsonl
  run "$RETORT" batch read results.jsonl --set teacher.model=other
  [ "$status" -eq 3 ] || { echo "$output"; false; }
  [[ "$output" == *"100 answer other questions"* ]] || { echo "$output"; false; }
  run "$RETORT" batch read results.jsonl --set teacher.temperature=0.5
  [ "$status" -eq 3 ]
  head -n 90 corpus.jsonl > shorter.jsonl && mv shorter.jsonl corpus.jsonl
  run "$RETORT" batch read results.jsonl
  [ "$status" -eq 0 ]
  [[ "$output" == *"90 answers taken"* ]] || { echo "$output"; false; }
  [[ "$output" == *"10 answers are to no question"* ]]
}

@test "a batch of failures alone, and files that are none, are errors" {
  "$RETORT" batch write --output batch-1 > /dev/null
  sed -E 's/^\{("custom_id":"[^"]*").*/{\1,"response":null,"error":{"code":"batch_expired"}}/' batch-1/batch-0001.jsonl > errors.jsonl
  run "$RETORT" batch read errors.jsonl
  [ "$status" -eq 3 ]
  [[ "$output" == *"batch_expired"* ]] || { echo "$output"; false; }
  run "$RETORT" batch read batch-1/batch-0001.jsonl
  [ "$status" -eq 3 ]
  run "$RETORT" batch read nothing.jsonl
  [ "$status" -eq 2 ]
  run "$RETORT" batch write --output batch-1
  [ "$status" -eq 2 ]
  [[ "$output" == *"is there already"* ]]
  run "$RETORT" batch write --output batch-2 --set cache.dir=off
  [ "$status" -eq 2 ]
  [[ "$output" == *"cache.dir"* ]]
  [ -z "$(ls -d batch-2* 2>/dev/null)" ]
}
