#!/usr/bin/env bats
# `retort stats` and its terminal view, looked at on a real run and a real terminal.

load helpers

# One run for all tests of the file: long enough for them, stopped at the end.
setup_file() {
  make_folder
  make_recorded 300
  write_config 200000
  start_run
  echo "$folder $run_pid" > "$BATS_FILE_TMPDIR/run"
  wait_until 60 at_least step 5 || { cat run.err; show_logs; false; }
}

teardown_file() {
  read -r folder run_pid < "$BATS_FILE_TMPDIR/run"
  drop_folder
}

setup() {
  read -r folder run_pid < "$BATS_FILE_TMPDIR/run"
  cd "$folder" || return 1
  export TERM=xterm
  unset NO_COLOR
}

on_terminal() { # on_terminal SIZE COMMAND... < steps
  timeout 60 python3 "$SOURCE/tests/tools/on_terminal.py" "$@"
}

watch() { on_terminal "$1" "$RETORT" stats --config retort.yaml --watch --interval 0.2; }

leaves_well() { # leaves_well CODE
  [ "${lines[-1]}" = "exit $1 restored" ] || { tail -n 30 <<< "$output"; false; }
}

@test "the view fills the screen, follows its size, and q leaves" {
  run watch 80x24 <<'STEPS'
wait retort small
wait live
wait students
wait workers
wait q leaves
resize 30x4
wait 300/300  done
wait step
resize 200x60
wait micro-batches
resize 1x1
resize 80x24
wait q leaves
type q
STEPS
  leaves_well 0
  kill -0 "$run_pid"
}

@test "whatever ends the view, the terminal is as it was" {
  run watch 80x24 <<< $'wait live\ntype ^C'
  leaves_well 0
  for signal in TERM HUP QUIT; do
    run watch 80x24 <<< $'wait live\nsignal '"$signal"
    leaves_well 130
  done
  run watch 80x24 <<< $'wait live\nsignal ABRT'
  leaves_well -6
  run watch 80x24 <<< $'wait live\nsignal SEGV'
  leaves_well -11
}

@test "Ctrl-Z gives the terminal back, and going on takes it again" {
  run watch 80x24 <<'STEPS'
wait live
type ^Z
stopped
signal CONT
wait retort small
type q
STEPS
  leaves_well 0
}

@test "colours are for terminals, and not where NO_COLOR is set" {
  export NO_COLOR=1
  esc=$'\033'
  run watch 80x24 <<< $'wait live\nabsent '"$esc"$'[32m\ntype q'
  leaves_well 0
  unset NO_COLOR
  run watch 80x24 <<< $'wait '"$esc"$'[32m\ntype q'
  leaves_well 0
}

@test "a coordinator that is killed comes back into the view" {
  pid=$(json run/coordinator.json pid)
  # The launcher is held meanwhile: it would have a new one before anybody looks.
  run watch 80x24 <<STEPS
wait live
run kill -STOP $run_pid
run kill -9 $pid
wait no answer for
run kill -CONT $run_pid
wait  live
type q
STEPS
  leaves_well 0
  [ "$(json run/coordinator.json pid)" != "$pid" ]
}

@test "into a pipe it prints a line for each look, and stops when nobody reads" {
  run bash -c '"$1" stats --config retort.yaml --watch --interval 0.1 2>&1 | head -n 3' - "$RETORT"
  [ "${#lines[@]}" -eq 3 ]
  [[ "${lines[2]}" =~ ^"label 300/300  done | train step "[0-9,]+/200,000 ]]
  [[ "$output" != *$'\033'* ]]
  run bash -c '"$1" stats --config retort.yaml --watch --interval 0.1 --json | head -n 2 | python3 -c "
import json, sys
print(*[json.loads(line)[\"run\"] for line in sys.stdin])"' - "$RETORT"
  [ "$output" = "small small" ]
}

@test "what does not go together is said" {
  run "$RETORT" stats --watch --metrics
  [ "$status" -eq 2 ]
  run "$RETORT" stats --interval 2
  [ "$status" -eq 2 ]
  [[ "$output" == *"--interval needs --watch"* ]]
  run "$RETORT" stats --watch --interval 0
  [ "$status" -eq 2 ]
  [[ "$output" == *"from 0.1 to 3600"* ]]
}

@test "a run that is over ends the lines" {
  mkdir -p over && echo '{"http":"127.0.0.1:1","pid":1}' > over/coordinator.json && echo '{}' > over/result.json
  run timeout 20 "$RETORT" stats --config retort.yaml --set run_dir=over --watch
  [ "$status" -eq 0 ]
  [ "$output" = "the run has ended" ]
}
