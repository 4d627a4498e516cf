#!/usr/bin/env bats
# retort tokenizer: train, encode, decode. RETORT names the program.

setup() {
    root="$(cd "$(dirname "$BATS_TEST_FILENAME")/../.." && pwd)"
    retort="${RETORT:-$root/build/release/retort}"
    dir="$(mktemp -d)"
    cd "$dir" || return 1
    for i in $(seq 200); do
        echo "Tom has $i apples and Ann gives him $((i * 3)) more. How many apples has Tom now?"
    done > text.txt
    sed 's/.*/{"id": 1, "question": "&", "answer": "x"}/' text.txt > rows.jsonl
}

teardown() {
    cd / && rm -rf "$dir"
}

train() { "$retort" tokenizer train --vocab-size 120 "$@"; }

@test "text goes through encode and decode unchanged" {
    train --kind bpe --split-digits text.txt
    "$retort" tokenizer encode < text.txt > ids.txt
    "$retort" tokenizer decode < ids.txt > back.txt
    cmp text.txt back.txt
    [ "$(wc -l < ids.txt)" -eq 200 ]
}

@test "training twice gives the same file" {
    train --output a.model text.txt
    train --output b.model text.txt
    cmp a.model b.model
}

@test "rows of JSON lines give the text of a template" {
    train --output a.model text.txt
    train --output b.model --field '{question}' rows.jsonl
    cmp a.model b.model
}

@test "--json shows ids and pieces" {
    train --split-digits --byte-fallback --vocab-size 400 text.txt > /dev/null
    out="$(echo "Tom has 12" | "$retort" tokenizer encode --json)"
    [[ "$out" == '{"ids":['*'],"pieces":['* ]]
    out="$(echo "$out" | sed -E 's/.*"ids":(\[[0-9,]*\]).*/\1/' | "$retort" tokenizer decode --json)"
    [ "$out" = '{"text":"Tom has 12"}' ]
    out="$(echo "has 12" | "$retort" tokenizer encode --pieces)"
    [[ "$out" == *" 1 2" ]]
}

@test "what is wrong is named, with the exit code of its kind" {
    run "$retort" tokenizer trian text.txt
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean train?"* ]]
    run "$retort" tokenizer train
    [ "$status" -eq 2 ]
    [[ "$output" == *"no file to read"* ]]
    run train --field '{nowhere}' rows.jsonl
    [ "$status" -eq 2 ]
    [[ "$output" == *"rows.jsonl:1"*"nowhere"* ]]
    run train --kind word text.txt
    [ "$status" -eq 2 ]
    run "$retort" tokenizer encode --model absent.model < text.txt
    [ "$status" -eq 2 ]
    run "$retort" tokenizer encode --model text.txt < text.txt
    [ "$status" -eq 3 ]
    [[ "$output" == *"not a sentencepiece model"* ]]
    train text.txt
    run "$retort" tokenizer decode <<< "1 2 x"
    [ "$status" -eq 3 ]
    [[ "$output" == *"stdin, line 1: column 5: found 'x'"* ]]
}
