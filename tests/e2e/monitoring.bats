#!/usr/bin/env bats
# Alerts and the Grafana dashboard against the /metrics of a real run, and the probes of containers.

load helpers

setup_file() {
  # One run in each way that has metrics of its own: with a rejected row, with stale gradients.
  export shared; shared=$(mktemp -d "${TMPDIR:-/tmp}/retort-e2e.XXXXXX")
  cd "$shared" || return 1
  make_recorded 100
  printf '{"question":"What is missing?","answer":"1","text":"no marker here"}\n' >> recorded.jsonl
  write_config 20
  start_run --set train.mode=ssp --set train.staleness_max=2 --set train.steps=100000
  wait_until 60 at_least step 11
  wait_until 20 has_validation
  "$RETORT" stats --config retort.yaml --metrics > metrics.txt
  stop_run || true
}
teardown_file() { rm -rf "$shared"; }
setup() { make_folder; }
teardown() { drop_folder; }

has_validation() { "$RETORT" stats --config retort.yaml --metrics | grep -q '^retort_validation_loss [0-9]'; }

deploy=$SOURCE/deploy
check() { # check ARGS...: all files, of which ARGS may replace some
  python3 "$deploy/check/monitoring.py" --metrics "$shared/metrics.txt" --stats "$SOURCE/docs/stats.md" \
    --alerts "$deploy/prometheus/alerts.yaml" --tests "$deploy/prometheus/alerts_test.yaml" \
    --runbook "$SOURCE/docs/operations.md" --dashboard "$deploy/grafana/dashboards/retort.json" "$@"
}

@test "every expression names what a run exports, every alert has its runbook and its test" {
  run check
  [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "what is wrong in alerts, dashboard, runbook or metrics is told" {
  broken() { # broken FILE SED WANTED OPTION: a copy with a mistake in it
    sed -E "$2" "$1" > broken
    ! cmp -s "$1" broken || { echo "no change: $2"; return 1; }
    run check "$4" broken
    [ "$status" -eq 1 ] && [[ "$output" == *"$3"* ]] || { echo "$2: $output"; return 1; }
  }
  alerts=$deploy/prometheus/alerts.yaml board=$deploy/grafana/dashboards/retort.json
  broken "$alerts" 's/retort_queue_connected == 0/retort_queue_conected == 0/' 'RetortQueueAway: the run exported no retort_queue_conected' --alerts
  broken "$alerts" 's/stream="dead"/stream="graves"/' 'exported no retort_queue_entries{stream="graves"}' --alerts
  broken "$alerts" 's/severity: info/severity: whatever/' 'severity is none of' --alerts
  broken "$alerts" 's/alert: RetortRewinds/alert: RetortRewound/' 'has no section of that name' --alerts
  broken "$alerts" 's/alert: RetortRewinds/alert: RetortRewound/' 'rings in no test' --alerts
  broken "$board" 's/retort_tokens_per_second/retort_tokens_per_sec/' 'exported no retort_tokens_per_sec' --dashboard
  broken "$board" 's/sum by \(role, state\)/sum by (role) (retort_nothing) + sum by (role, state)/' 'exported no retort_nothing' --dashboard
  broken "$board" 's/"w": 8, "x": 8/"w": 9, "x": 7/' 'lies over' --dashboard
  broken "$SOURCE/docs/operations.md" 's/^### RetortRefusals/### RetortRefusal/' 'RetortRefusal is about no alert' --runbook
  broken "$SOURCE/docs/stats.md" 's/^\| `retort_grad_norm`/| `retort_gradient_norm`/' 'tells of retort_gradient_norm' --stats
  broken "$shared/metrics.txt" '/retort_problem/d' 'exported no retort_problem' --metrics
}

@test "promtool takes metrics, rules, the dashboard's expressions and the configuration" {
  promtool check metrics < "$shared/metrics.txt"
  promtool check rules "$deploy/prometheus/alerts.yaml"
  python3 "$deploy/check/monitoring.py" --dashboard "$deploy/grafana/dashboards/retort.json" --rules > board.yaml
  promtool check rules board.yaml
  promtool check config --syntax-only "$deploy/prometheus/prometheus.yaml"
}

@test "every alert rings when it should, and is silent when it should" {
  promtool test rules "$deploy/prometheus/alerts_test.yaml"
}

@test "retort probe asks a process for itself, and a coordinator over HTTP" {
  make_recorded 60
  write_config 100000
  start_run
  wait_until 30 at_least step 1
  for name in coordinator student-0 server-0; do
    "$RETORT" probe --pid "$(pid_of $name)"
  done
  "$RETORT" probe --address "$(sed -nE 's/^ *"http": *"([^"]*)".*/\1/p' run/coordinator.json)"
  # One that is stopped is not well; when it goes on, it is.
  pid=$(pid_of server-0)
  kill -STOP "$pid"
  wait_until 5 eval '! "$RETORT" probe --pid "$pid" 2> /dev/null'
  run "$RETORT" probe --pid "$pid"
  [ "$status" -ne 0 ]
  [[ "$output" == *"state T"* ]]
  kill -CONT "$pid"
  wait_until 5 "$RETORT" probe --pid "$pid"
  stop_run || true
  run "$RETORT" probe --pid "$pid"
  [ "$status" -ne 0 ]
  [[ "$output" == *"there is no process"* ]]
  run "$RETORT" probe --address 127.0.0.1:9
  [ "$status" -ne 0 ]
  run "$RETORT" probe
  [ "$status" -eq 2 ]
}

@test "every setting of compose.yaml is one, and the image asks for packages that exist" {
  mapfile -t sets < <(sed -nE 's/^ +- (--set=.*)$/\1/p' "$deploy/compose.yaml" | sed -E 's/\$\{[A-Z_]+:-([^}]*)\}/\1/' | sort -u)
  [ "${#sets[@]}" -ge 10 ]
  "$RETORT" config validate --config "$SOURCE/examples/arithmetic/retort.yaml" "${sets[@]}"
  run "$RETORT" config validate --config "$SOURCE/examples/arithmetic/retort.yaml" "${sets[@]}" --set=net.http_keys=x
  [ "$status" -eq 2 ]
  "$deploy/docker/runtime_packages.sh" "$RETORT" > packages
  [ "$(wc -l < packages)" -ge 10 ]
  xargs dpkg-query -W < packages > /dev/null
  run "$deploy/docker/runtime_packages.sh" "$SOURCE/deploy/compose.yaml"
  [ "$status" -ne 0 ]
}
