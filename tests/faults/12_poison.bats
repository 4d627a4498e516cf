#!/usr/bin/env bats
# Row 12: examples that a teacher cannot label: rejected with a reason after their attempts, the others
# unaffected. docs/reliability.md

load helpers

rejected() { json run/summary.json rejected_total; }

# bats test_tags=ci
@test "12: a teacher that writes garbage, nothing, and endless text" {
  printf '{"question":"What is garbage?","answer":"1","text":"%s"}\n' '\u0001\u0002\ufffd no number here' >> recorded.jsonl
  printf '{"question":"What is empty?","answer":"1","text":""}\n' >> recorded.jsonl
  printf '{"question":"What is blank?","answer":"1","text":"    "}\n' >> recorded.jsonl
  python3 - >> recorded.jsonl <<'PY'
import json
print(json.dumps({"question": "What never ends?", "answer": "1", "text": "and so on " * 40000}))
print(json.dumps({"question": "Q\u0000 \u202e \ud7ff \U0010ffff " + "(" * 5000, "answer": "1", "text": "4 # 4"}))
PY
  begin "" "${CLUSTER[@]}"
  finish
  [ "$(rejected)" -ge 4 ]
  [ "$(json run/summary.json labelled)" -ge 240 ]
  [ "$(wc -l < run/dataset/rejected.jsonl)" -eq "$(grep -c '"reason":"' run/dataset/rejected.jsonl)" ]
  judge 12 "garbage, empty, endless" --figure kills=5
}

@test "12: a teacher over HTTP that refuses, breaks off, and never answers some" {
  "$FAULT_TEACHER" recorded.jsonl 0.3 > teacher.out 2> teacher.err 3>&- &
  extra_pids+=($!)
  wait_until 10 test -s teacher.out
  site="$(head -n 1 teacher.out)/v1"
  sed -i -e "s|^teacher:.*|teacher: {backend: openai, base_url: \"$site\", model: m, timeout_ms: 1500}|" retort.yaml
  printf '{"question":"%s","answer":"1","status":400,"error":{"error":{"message":"no","type":"invalid_request_error"}}}\n' "What is refused?" >> recorded.jsonl
  kill -HUP "${extra_pids[0]}"
  begin "" "${CLUSTER[@]}"
  finish
  [ "$(json run/summary.json labelled)" -ge 230 ]
  [ "$(rejected)" -ge 1 ]
  judge 12 "refused, broken off, never answered" --figure kills=1
}

labelled_ids() { cut -c 1-48 "$1/dataset/labels.jsonl" | sort; }

# Three deaths until the rows of its shard are handed out one at a time, then three with each of the two.
@test "12: examples that kill every teacher that gets them" {
  sed -i -e '30i {"question":"What is poison one?","answer":"1","text":"4 # 4"}' \
    -e '33i {"question":"What is poison two?","answer":"1","text":"4 # 4"}' recorded.jsonl
  begin "teacher.renders(What is poison):kill:1:100" "${CLUSTER[@]}"
  finish
  [ "$(rejected)" -eq 2 ]
  [ "$(grep -c '"reason":"worker_died"' run/dataset/rejected.jsonl)" -eq 2 ]
  diff <(labelled_ids run) <(labelled_ids "$base/run")
  judge 12 "kills who labels it" --strikes 9
}

# Three deliveries, and it is put aside; a step cannot be left out, so it is published again, kills once
# more, and then does no harm. Without backups, each of which would be a copy with deliveries of its own.
poison="training step 9, micro-batch 2 of 3"

@test "12: a micro-batch that kills every student that reads it" {
  begin "student.computes($poison):kill:1:4" "${CLUSTER[@]}" \
    --set queue.deliveries_max=2 --set train.backup_after=0
  wait_until 60 problem_named "put aside in the stream .*: step 9, micro-batch 2 of 3"
  grep -Eq 'queue.put_aside .*what="step 9, micro-batch 2 of 3" deliveries=3 records=[0-9a-f]{32}' run/logs/coordinator.log
  finish
  judge_same 12 "kills who computes it" --strikes 4
}
