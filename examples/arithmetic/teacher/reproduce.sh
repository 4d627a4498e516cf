#!/usr/bin/env bash
# Train the quick start's teacher anew: 81,000 worked problems, 9,000 updates, about a quarter of an
# hour on two cores. Leaves it in runs/arithmetic-teacher/student. README.md here is written by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
./dev build
./examples/arithmetic/prepare.sh
worked=examples/arithmetic/data/worked
mkdir -p "$worked"
build/release/arithmetic-problems worked 81000 > "$worked/labels.jsonl"
build/release/retort train --config examples/arithmetic/teacher/retort.yaml --dataset "$worked" "$@"
echo "to ship it: cp runs/arithmetic-teacher/student/*.{json,model,safetensors} examples/arithmetic/teacher/"
