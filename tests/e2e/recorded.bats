#!/usr/bin/env bats
# Recorded answers of a real language model: label, then score the teacher. The published parser's
# shares of right labels are the measure. The data lies beside the checkout, or the test is skipped.

load helpers

DATA=$(cd "$SOURCE/../shared/data" 2>/dev/null && pwd) || DATA=

setup() {
  [ -n "$DATA" ] || skip "the recordings are not beside this checkout"
  export DATA
  make_folder
}
teardown() { drop_folder; }

of_dataset() { # of_dataset KEY: a number of dataset_accuracy
  tr -d ' \n' < eval.json | sed -nE "s/.*\"dataset_accuracy\":\{[^}]*\"$1\":([0-9.]+).*/\1/p"
}

share_is() { # share_is NAME PERCENT ROWS: within half a point, over all rows but duplicates
  local config="$SOURCE/examples/recorded/$1.yaml"
  "$RETORT" label --config "$config" > label.out 2>&1 || { cat label.out; return 1; }
  "$RETORT" eval --teacher --config "$config" --json > eval.json
  "$RETORT" audit --config "$config" > audit.out || { cat audit.out; return 1; }
  [ "$(of_dataset of)" = "$3" ] || { cat eval.json; return 1; }
  awk -v share="$(of_dataset share)" -v expected="$2" \
    'BEGIN {d = 100 * share - expected; exit !(d <= 0.5 && d >= -0.5)}' || { cat eval.json; return 1; }
}

@test "SVAMP: 74.00 percent of 200" { share_is svamp 74.00 200; }
@test "CommonsenseQA: 77.23 percent of 1,221" { share_is cqa 77.23 1221; }
@test "e-SNLI: 73.17 percent of 9,842, two of which are duplicates" { share_is esnli 73.17 9840; }
