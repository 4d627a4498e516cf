#!/usr/bin/env bats
# Memory of the coordinator in a run of many examples, which is killed and restarted in the middle. docs/big-runs.md

load helpers

setup() { make_folder; }
teardown() { drop_folder; }

@test "the coordinator takes at most 64 bytes an example" {
  RT_BUILD_DIR=${RETORT%/retort} python3 "$SOURCE/bench/big_run.py" --rows 100000 --base-rows 10000 --folder "$folder" \
    --max-bytes 64 > big.out 2> big.err || { cat big.out big.err >&2; return 1; }
  grep -q '"closes": true' big.out
}
