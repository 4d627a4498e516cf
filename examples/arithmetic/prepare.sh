#!/usr/bin/env bash
# Write the quick start's problems: 10,000 without answers to label, 1,000 unseen ones to test on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
generator=${RETORT_BUILD:-build/release}/arithmetic-problems
if ! [ -x "$generator" ] && installed=$(command -v retort); then # not a source tree
  generator=$(dirname "$installed")/../libexec/retort/arithmetic-problems
fi
data=examples/arithmetic/data
mkdir -p "$data"
write() { # write FILE KIND COUNT: atomically, and only when it is not there
  [ -s "$data/$1" ] && return 0
  "$generator" "$2" "$3" > "$data/$1.tmp"
  mv "$data/$1.tmp" "$data/$1"
}
write corpus.jsonl corpus 10000
write test.jsonl test 1000
