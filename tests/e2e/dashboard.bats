#!/usr/bin/env bats
# The dashboard of a real run in a real browser (headless Chromium): its numbers are those of /api/stats, it asks nobody
# else, fits a phone, is reached by the keyboard, and says when it is old.

load helpers

setup() {
  command -v chromium > /dev/null && command -v chromedriver > /dev/null ||
    skip "chromium or chromium-driver is not installed"
  make_folder
}
teardown() { [ -z "${folder:-}" ] || drop_folder; }

browse() { # browse CHECK ARGS...
  run python3 "$SOURCE/tests/support/check_dashboard.py" "$1" --url "$url" --folder "$folder" "${@:2}"
  [ "$status" -eq 0 ] || { echo "$output"; show_logs; false; }
}

make_watched_run() { # a run that goes on for as long as it is looked at, on a port that outlives the coordinator
  make_recorded 300
  # What a page must take for text: markup, another script, and an answer without a marker.
  cat >> recorded.jsonl <<'JSONL'
{"question":"What is missing?","answer":"1","text":"no marker here"}
{"question":"<img src=x onerror=\"window.broken=1\">太郎さんは<b>りんご</b>を3個、花子さんは2個もっています。全部で何個ですか。","answer":"5","text":"3+2=5. <script>window.broken=1</script> だから5個です。 # 5"}
JSONL
  write_config 200000
  sed -i -e 's/eval_every: 10/eval_every: 500/' -e 's/dead_after_ms: 2500/dead_after_ms: 60000/' \
         -e 's/^corpus: {/corpus: {bad_share_max: 0.02, /' retort.yaml
  port=$(free_port)
  url=http://127.0.0.1:$port
}

@test "it shows the numbers of /api/stats, from nowhere else, on a phone, by keyboard, and says when it is old" {
  make_watched_run
  start_run --set "net.http=127.0.0.1:$port"
  wait_until 60 at_least step 5
  browse open --run run ${DASHBOARD_SHOTS:+--shots "$DASHBOARD_SHOTS"}
}

@test "where a key is needed it asks for it, and keeps it no longer than its tab" {
  make_watched_run
  (umask 077; echo key-of-the-dashboard > http.keys)
  sed -i 's/^net: {/net: {http_key_file: http.keys, /' retort.yaml # for `retort stats` too
  start_run --set "net.http=127.0.0.1:$port"
  wait_until 60 at_least step 5
  browse locked --key key-of-the-dashboard
  no grep -rqF key-of-the-dashboard run run.out run.err
}
