# A small run whose teacher is paid: each request costs 20 + 2 * 10 millionths. Loaded after helpers.

FAULT_TEACHER=${FAULT_TEACHER:-${RT_BUILD_DIR:-build/release}/fault-teacher}

make_paid_run() { # retort.yaml: 60 rows, and 40 of them held out
  make_folder
  make_recorded 60
  write_config 10
  sed -i -e '/^teacher:/d' -e 's|^eval:.*|eval: {files: [recorded.jsonl], input: "{question}", gold: "{answer}", max_new_tokens: 8, batch: 20, rows_max: 40}|' \
         -e 's|chunk_size: 100|chunk_size: 30|' retort.yaml
  cat >> retort.yaml <<'YAML'
prompt: {instruction: "Answer."}
teacher: {backend: openai, base_url: "${BASE_URL}", model: teacher-1, max_new_tokens: 20}
cache: {dir: cache}
limits: {price_input: 1, price_output: 2, budget: 1}
YAML
  start_teacher
}

start_teacher() { # each request costs 20 + 2 * 10 millionths
  "$FAULT_TEACHER" recorded.jsonl 0 > teacher.out 2> teacher.err 3>&- &
  teacher_pid=$!
  wait_until 10 test -s teacher.out
  export BASE_URL; BASE_URL="$(head -n 1 teacher.out)/v1"
}

stop_teacher() { # afterwards teacher.out ends with the number of requests
  [ -n "${teacher_pid:-}" ] || return 0
  kill -TERM "$teacher_pid" 2>/dev/null
  wait "$teacher_pid" 2>/dev/null
  teacher_pid=
}

requests() { sed -n '$s/ requests//p' teacher.out; }

spent() { # spent FILE: in requests
  python3 -c 'import json,sys; print(round(json.load(open(sys.argv[1]))["spent"] / 40e-6))' "$1"
}

get() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }

run_all() { # run_all ARGS...: $code is the exit code
  code=0
  "$RETORT" run --config retort.yaml "$@" > run.out 2> run.err || code=$?
}
