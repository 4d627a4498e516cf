#!/usr/bin/env bash
# soak.sh TIME|Nx SEED [STEPS]: runs of STEPS (60), one after the other, in which a process chosen by the seed is killed with -9
# every now and then, until the time is over or N were killed; each run has to end with the dataset and
# the student of the undisturbed one.
set -euo pipefail

seed=$2
export FAULTS_STEPS=${3:-60} FAULTS_RUN_MAX_S=$((240 + ${3:-60}))
seconds=1000000000
kills_wanted=1000000000
case "$1" in
  *x) kills_wanted=${1%x} ;;
  *h) seconds=$((${1%h} * 3600)) ;;
  *m) seconds=$((${1%m} * 60)) ;;
  *) seconds=${1%s} ;;
esac
end=$((SECONDS + seconds))
n_runs=0
n_kills=0
echo "soak: seed $seed, $1; again with: ./dev faults --soak $1 --seed $seed --steps $FAULTS_STEPS"

load() { local name=${1#../}; case "$name" in e2e/*) source "$RT_SOURCE_DIR/tests/$name.bash" ;; *) source "$RT_SOURCE_DIR/tests/faults/$name.bash" ;; esac; }
load helpers

RANDOM=$seed # from here on the choices follow from the seed
make_base
trap 'stop_watch; drop_folder; rm -rf "$FAULTS_BASE"' EXIT

choose_child() { # a name, out of those that this cluster has
  local names=(redis coordinator server-0 server-1 student-0 student-1 teacher-0 teacher-1)
  chosen=${names[$((RANDOM % ${#names[@]}))]}
}

one_run() {
  local pause pid
  make_folder
  cp "$base/retort.yaml" "$base/recorded.jsonl" "$base/test.jsonl" .
  mkdir faults
  export RETORT_FAULTS_DIR=$folder/faults
  begin "teacher.before_request:delay=150:1:0,student.after_read:delay=40:1:0" "${CLUSTER[@]}"
  while kill -0 "$run_pid" 2> /dev/null && [ "$n_kills" -lt "$kills_wanted" ]; do
    pause=$((RANDOM % 20 + 4))
    choose_child
    sleep "$((pause / 10)).$((pause % 10))"
    pid=$(pid_of "$chosen" 2> /dev/null || true)
    [ -n "$pid" ] && kill -KILL "$pid" 2> /dev/null && n_kills=$((n_kills + 1)) || true
  done
  finish
  judge_same 0 "soak, seed $seed, run $n_runs"
  drop_folder
}

extra_pids=()
while [ "$SECONDS" -lt "$end" ] && [ "$n_kills" -lt "$kills_wanted" ]; do
  n_runs=$((n_runs + 1))
  one_run || { echo "soak: run $n_runs of seed $seed failed after $n_kills kills; its folder is $folder" >&2; trap - EXIT; exit 1; }
  echo "soak: $n_runs runs, $n_kills kills, all with the same student"
done
