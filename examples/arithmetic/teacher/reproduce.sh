#!/usr/bin/env bash
# Train the quick start's teacher anew: 81,000 worked problems, 9,000 updates, about ten minutes on
# two cores. Leaves it in runs/arithmetic-teacher/student; copy it here to ship it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
./dev build
./examples/arithmetic/prepare.sh
worked=examples/arithmetic/data/worked
mkdir -p "$worked"
build/release/arithmetic-problems worked 81000 > "$worked/labels.jsonl"
build/release/retort train --config examples/arithmetic/teacher/retort.yaml --dataset "$worked" "$@"
echo "to ship it: cp runs/arithmetic-teacher/student/* examples/arithmetic/teacher/"
