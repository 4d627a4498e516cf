#!/usr/bin/env bats
# Row 21: what would be on the disk if the power went: files, then names, then what relies on them.
# docs/reliability.md

load helpers

@test "21: nothing is relied on before it is synced" {
  export DISK_CALLS_FILE=$folder/calls.txt
  LD_PRELOAD=$DISK_CALLS begin "" "${CLUSTER[@]}"
  unset DISK_CALLS_FILE
  finish
  python3 "$FAULTS/disk_order.py" calls.txt run
  judge_same 21 "a run" --strikes 0
}
