#!/usr/bin/env bats
# The front door: help, version, settings, exit codes. RETORT names the program.

setup() {
    root="$(cd "$(dirname "$BATS_TEST_FILENAME")/../.." && pwd)"
    retort="${RETORT:-$root/build/release/retort}"
    dir="$(mktemp -d)"
    cd "$dir" || return 1
    cat > good.yaml <<'YAML'
name: arithmetic
corpus: {files: [questions.jsonl]}
teacher: {backend: recorded, files: [answers.jsonl], match_field: "{input}"}
YAML
}

teardown() {
    cd / && rm -rf "$dir"
}

# out: standard output, err: standard error, code: exit code
call() {
    code=0
    "$retort" "$@" > "$dir/out" 2> "$dir/err" || code=$?
    out="$(cat "$dir/out")"
    err="$(cat "$dir/err")"
}

@test "without a command it prints usage and fails" {
    call
    [ "$code" -eq 2 ]
    [ -z "$out" ]
    [[ "$err" == *"usage: retort COMMAND"* ]]
}

@test "--help lists every command and the exit codes" {
    call --help
    [ "$code" -eq 0 ]
    [ -z "$err" ]
    [[ "$out" == *"COMMANDS"*"config"*"version"*"EXIT STATUS"*"130"* ]]
}

@test "help of each listed command has the sections of a man page" {
    call --help
    names="$(sed -n '/^COMMANDS/,/^$/s/^    \([a-z]*\) .*/\1/p' out)"
    [ -n "$names" ]
    for name in $names; do
        call help "$name"
        [ "$code" -eq 0 ]
        [[ "$out" == NAME*"retort $name - "*SYNOPSIS*DESCRIPTION*OPTIONS*"EXIT STATUS"* ]]
        before="$out"
        call "$name" --help
        [ "$code" -eq 0 ]
        [ "$out" = "$before" ]
    done
}

@test "an unknown command or option is refused with the nearest one" {
    call confg
    [ "$code" -eq 2 ]
    [[ "$err" == *"did you mean config?"* ]]
    call config validate --confg x
    [ "$code" -eq 2 ]
    [[ "$err" == *"did you mean --config?"* ]]
    call help confg
    [ "$code" -eq 2 ]
}

@test "version prints as text and as JSON" {
    call version
    [ "$code" -eq 0 ]
    [[ "$out" == "retort "[0-9]* ]]
    call --version
    [ "$code" -eq 0 ]
    [[ "$out" == "retort "[0-9]* ]]
    call version --json
    [ "$code" -eq 0 ]
    echo "$out" | python3 -c 'import json,sys; v = json.load(sys.stdin); v["cpu"]["model"]; v["libraries"]["zmq"]'
}

@test "validate accepts a good file and gives its fingerprint" {
    call config validate --config good.yaml
    [ "$code" -eq 0 ]
    [[ "$out" == *"valid"* ]]
    call config validate --config good.yaml --json
    echo "$out" | python3 -c 'import json,sys; v = json.load(sys.stdin); assert v["ok"] and len(v["fingerprint"]) == 32'
}

@test "retort.yaml of the current folder is the default" {
    call config validate
    [ "$code" -eq 2 ]
    [[ "$err" == *"--config FILE is not given"* ]]
    mv good.yaml retort.yaml
    call config validate
    [ "$code" -eq 0 ]
}

@test "an error names file, line and setting, on stderr, and as JSON on stdout" {
    printf 'train:\n  stepz: 3\n' >> good.yaml
    call config validate --config good.yaml
    [ "$code" -eq 2 ]
    [ -z "$out" ]
    [[ "$err" == "retort: good.yaml:5: train.stepz: unknown setting; did you mean train.steps?"* ]]
    call config validate --config good.yaml --json
    [ "$code" -eq 2 ]
    echo "$out" | python3 -c 'import json,sys; e = json.load(sys.stdin)["error"]; assert e["status"] == "invalid"; assert "good.yaml:5" in e["message"]'
}

@test "print loads again to the same settings" {
    call config print --config good.yaml --set train.steps=7 --set 'task.stop_marks=["Q:"]'
    [ "$code" -eq 0 ]
    [[ "$out" == *"steps: 7"* ]]
    cp out again.yaml
    call config print --config again.yaml
    [ "$code" -eq 0 ]
    cmp out again.yaml
    call config print --config good.yaml --json
    echo "$out" | python3 -c 'import json,sys; v = json.load(sys.stdin); assert v["train"]["beta2"] == 0.98 and v["corpus"]["files"] == ["questions.jsonl"]'
}

@test "a secret is never printed" {
    export PASSWORD_OF_REDIS=hunter2
    call config print --config good.yaml --set 'queue.password=${PASSWORD_OF_REDIS}'
    [ "$code" -eq 0 ]
    [[ "$out" != *hunter2* ]]
    call config print --config good.yaml --set queue.password=hunter2
    [ "$code" -eq 2 ]
    [[ "$out$err" != *hunter2* ]]
}

@test "check names every file that is not here" {
    call config check --config good.yaml
    [ "$code" -eq 2 ]
    [[ "$err" == *"corpus.files: questions.jsonl"*"teacher.files: answers.jsonl"* ]]
    call config check --config good.yaml --json
    [ "$code" -eq 2 ]
    echo "$out" | python3 -c 'import json,sys; v = json.load(sys.stdin); assert len(v["problems"]) == 2'
    touch questions.jsonl answers.jsonl
    call config check --config good.yaml
    [ "$code" -eq 0 ]
}

@test "the reference in docs is what the program prints" {
    call config reference
    [ "$code" -eq 0 ]
    cmp out "$root/docs/config.md"
    call config reference --json
    echo "$out" | python3 -c 'import json,sys; assert len(json.load(sys.stdin)) > 80'
}

@test "output that cannot be written is an error" {
    [ -e /dev/full ] || skip "no /dev/full"
    code=0
    "$retort" config reference > /dev/full 2> err || code=$?
    [ "$code" -eq 4 ]
}
