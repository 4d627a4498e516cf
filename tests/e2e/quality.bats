#!/usr/bin/env bats
# Several recorded texts an example: the vote, the filters, a second teacher, and the audit of it.

load helpers

setup() { make_folder; write_inputs; }
teardown() { stop_teacher; drop_folder; }

row() { printf '{"question":"%s","text":"%s"}\n' "$1" "$2"; }

write_inputs() {
  for q in sure split none open; do printf '{"question":"%s","answer":"12"}\n' "$q"; done > corpus.jsonl
  {
    row sure "Six and six make twelve of them in all. # 12"
    row sure "Twelve. # 12"
    row sure "It is 10 + 2. # 12"
    row split "There are three times four apples on the table. # 12"
    row none "I do not know."
    row none "Nobody knows."
    row split "There are thirteen. # 13"
    row split "Four and four and four apples lie here. # 12.0"
    row none "Who knows?"
    row open "One. # 1"
    row open "Two. # 2"
    row open "Three. # 3"
  } > cheap.jsonl
  { row none "It was said before: a dozen. # 12"; row sure "Never asked. # 99"; } > strong.jsonl
  cat > retort.yaml <<'YAML'
name: quality
run_dir: run
task: {name: count, answer: number, markers: ["#"]}
corpus: {files: [corpus.jsonl], input: "{question}", gold: "{answer}"}
teacher: {backend: recorded, name: cheap, files: [cheap.jsonl], match_field: "{question}", text_field: "{text}"}
label: {shard_size: 2}
launch: {teachers: 1}
YAML
  cat > strong.yaml <<'YAML'
teacher: {backend: recorded, name: strong, files: [strong.jsonl], match_field: "{question}", text_field: "{text}"}
quality: {samples: 1}
YAML
}

label() { "$RETORT" label --config retort.yaml "$@" > label.out 2>&1 || { cat label.out; return 1; }; }

of() { # of FILE INPUT PATH...: a value of the record of an input, as JSON
  python3 - "$@" <<'PY'
import json, sys
name, wanted, *path = sys.argv[1:]
for line in open("run/dataset/" + name, encoding="utf-8"):
    record = json.loads(line)
    if record["input"] == wanted:
        for key in path:
            record = record.get(key) if isinstance(record, dict) else None
        print(json.dumps(record, sort_keys=True))
PY
}

figure() { # figure PATH...: a value of `retort audit --json`
  "$RETORT" audit --config retort.yaml --json > audit.json || return 1
  python3 - "$@" <<'PY'
import json, sys
value = json.load(open("audit.json"))
for key in sys.argv[1:]:
    value = value[key]
print(json.dumps(value))
PY
}

is() { [ "$1" = "$2" ] || { echo "found $1, expected $2" >&2; return 1; }; }

@test "one text an example: the first row counts and meta is as ever" {
  label
  is "$(of labels.jsonl split label)" '"12"'
  is "$(of labels.jsonl open label)" '"1"'
  is "$(of labels.jsonl open meta)" \
    '{"attempts": 1, "backend": "recorded", "finish_reason": "recorded", "parse": [], "teacher": "cheap"}'
  is "$(of rejected.jsonl none reason)" '"no_marker"'
  is "$(figure quality votes)" 0
}

@test "several texts: the vote decides, and the best rationale of the winner is kept" {
  label --set quality.samples=3
  is "$(of labels.jsonl sure meta confidence)" 1.0
  is "$(of labels.jsonl split label)" '"12"'
  is "$(of labels.jsonl split meta votes)" '{"12": 2, "13": 1}'
  is "$(of labels.jsonl split meta confidence)" 0.666666666667
  is "$(of labels.jsonl sure rationale)" '"Six and six make twelve of them in all."'
  is "$(of rejected.jsonl none meta unknown)" 3
  is "$(figure quality votes)" 3
  is "$(figure quality reasons)" '{"no_marker": 1}'
  is "$(figure closes)" true
}

@test "the vote ends early where all agree" {
  label --set quality.samples=3 --set quality.samples_min=2 --set quality.stop_probability=0.9
  is "$(of labels.jsonl sure meta samples)" 2
  is "$(of labels.jsonl split meta samples)" 3
}

@test "an unsure vote may be rejected, and filters drop or reject" {
  label --set quality.samples=3 --set quality.confidence_min=0.5 \
    --set 'quality.drop_rationale_if=["contradicts_label"]' --set 'quality.note_if=["too_short"]'
  is "$(of rejected.jsonl open reason)" '"low_confidence"'
  is "$(of labels.jsonl split rationale)" '"There are three times four apples on the table."'
  is "$(figure quality reasons low_confidence)" 1
  run "$RETORT" label --config retort.yaml --set run_dir=other --set 'quality.reject_if=["too_shrt"]'
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean too_short?"* ]]
}

@test "a second teacher answers what the first rejects or is not sure of" {
  label --set quality.samples=3 --set escalate.config=strong.yaml --set escalate.when_confidence_below=0.5
  is "$(of labels.jsonl none label)" '"12"'
  is "$(of labels.jsonl none meta teacher)" '"strong"'
  is "$(of labels.jsonl none meta escalated)" '{"from": "cheap", "reason": "no_marker"}'
  is "$(of labels.jsonl open meta teacher)" '"cheap"'
  is "$(of labels.jsonl open meta escalated)" '{"reason": "not_recorded", "to": "strong"}'
  is "$(of labels.jsonl sure label)" '"12"'
  is "$(figure quality escalated)" 2
  is "$(figure quality teachers strong labelled)" 1
  is "$(figure quality teachers cheap labelled)" 3
  "$RETORT" audit --config retort.yaml > audit.out
  grep -q 'escalated .* 2 .*50.0 %' audit.out
  grep -q 'confidence ' audit.out
  grep -q 'strong' audit.out
}

@test "the settings of a second teacher are checked before anything starts" {
  printf 'teacher: {backend: recorded, files: [no-such.jsonl], match_field: "{q}"}\n' > strong.yaml
  run "$RETORT" config check --config retort.yaml --set escalate.config=strong.yaml
  [ "$status" -ne 0 ]
  [[ "$output" == *"no-such.jsonl"* ]]
  printf 'teacher: {backend: native, model: m}\ntrain: {steps: 3}\n' > strong.yaml
  run "$RETORT" config check --config retort.yaml --set escalate.config=strong.yaml
  [[ "$output" == *"strong.yaml:2: train.steps: does not belong here"* ]]
}

@test "where no text is right the label may be given, and such labels are not the teacher's" {
  for i in $(seq 12); do printf '{"question":"Row %02d?","answer":"%d"}\n' "$i" "$i"; done > corpus.jsonl
  # Nine rows are right, two wrong, one without a label; with the label given two find reasons for it.
  {
    row "Row 03? It is 3, why" "There are three of them on the table. # 3"
    row "Row 07? It is 7, why" "There are seven of them on the table. # 7"
    row "Row 11? It is 11, why" "There are ten of them, I think. # 10"
    for i in 01 02 04 05 06 08 09 10 12; do row "Row $i?" "There are $((10#$i)) of them. # $((10#$i))"; done
    row "Row 03?" "There are four. # 4"
    row "Row 07?" "Nobody knows."
    row "Row 11?" "There are twelve. # 12"
  } > recorded.jsonl
  start_teacher 0
  sed -i 's/^teacher:.*/teacher: {backend: openai, base_url: "${BASE_URL}", model: m, attempts_max: 1}/' retort.yaml
  label --set run_dir=plain
  given=(--set 'prompt.label_given={input} It is {label}, why')
  label "${given[@]}"
  is "$(of labels.jsonl 'Row 03?' label)" '"3"'
  is "$(of labels.jsonl 'Row 03?' rationale)" '"There are three of them on the table."'
  is "$(of labels.jsonl 'Row 03?' meta gold)" '{"by": "label_given", "said": "4"}'
  is "$(of labels.jsonl 'Row 07?' meta gold)" '{"by": "label_given", "reason": "no_marker"}'
  is "$(of labels.jsonl 'Row 11?' label)" '"12"'
  is "$(of labels.jsonl 'Row 11?' meta gold)" '{"failed": "wrong_label"}'
  is "$(of labels.jsonl 'Row 01?' meta gold)" null
  is "$(figure quality gold)" '{"text": 0, "label_given": 2, "failed": 1}'
  # The teacher's accuracy is what it was without.
  for run_dir in plain run; do
    "$RETORT" eval --teacher --config retort.yaml --set run_dir=$run_dir --json > eval-$run_dir.json
    python3 -c 'import json, sys; a = json.load(open(sys.argv[1]))["dataset_accuracy"]; assert (a["right"], a["of"]) == (9, 12), a' eval-$run_dir.json
  done
  # Once more from the cache: the same dataset.
  label "${given[@]}" --set run_dir=again
  is "$(json again/summary.json dataset_sha256)" "$(json run/summary.json dataset_sha256)"
  stop_teacher
  is "$(requests)" 15                                       # twelve rows, and three once more
  run "$RETORT" config check --config retort.yaml --set 'prompt.label_given={input} {label}' --set corpus.gold=
  [ "$status" -eq 2 ]
  [[ "$output" == *"set corpus.gold"* ]]
}

@test "two runs with the same texts give the same records" {
  label --set quality.samples=3 --set escalate.config=strong.yaml --set launch.teachers=2
  sort run/dataset/labels.jsonl > first.out
  rm -rf run
  label --set quality.samples=3 --set escalate.config=strong.yaml --set launch.teachers=1
  sort run/dataset/labels.jsonl | cmp - first.out
}
