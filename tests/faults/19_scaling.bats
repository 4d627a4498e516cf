#!/usr/bin/env bats
# Row 19: 1 to 8 to 1 students and 1 to 4 teachers in mid-run. docs/reliability.md

load helpers

place() { tr '\0' '\n' < "/proc/$(pid_of student-0)/cmdline" | sed -n 's/^\(net\.coordinator=.*\|queue\.url=.*\|run_dir=.*\)$/--set\n\1/p'; }

alive() { # alive ROLE N
  local n; n=$("$RETORT" stats --config retort.yaml --metrics 2>/dev/null |
    sed -nE "s/^retort_members\{role=\"$1\",state=\"alive\"\} ([0-9]+)/\1/p")
  [ -n "$n" ] && [ "$n" -ge "$2" ]
}

@test "19: eight students and four teachers for a while" {
  local i pids=()
  begin teacher.before_request:delay=400:1:0,student.after_read:delay=60:1:0 --set launch.servers=2
  wait_until 60 at_least step 2
  mapfile -t where < <(place)
  for i in 1 2 3 4 5 6 7; do
    start_extra "student-$i.out" "$RETORT" student --config retort.yaml --set launch.servers=2 "${where[@]}" --name "more-$i"
    pids+=("$extra_pid")
  done
  for i in 1 2 3; do
    start_extra "teacher-$i.out" "$RETORT" teacher --config retort.yaml --set launch.servers=2 "${where[@]}" --name "teacher-more-$i"
  done
  wait_until 60 alive student 8
  wait_until 60 at_least step 20
  for i in "${pids[@]}"; do kill -TERM "$i"; done
  for i in "${pids[@]}"; do wait "$i" || { tail -n 3 student-*.out >&2; false; }; done
  note_strike down
  finish
  judge_same 19 "1 to 8 to 1 students, 1 to 4 teachers" --strikes 3
}
