/* Teachers that pay for every request, as real processes with a real coordinator: what they paid
 * never exceeds the budget, whoever is killed; a later start goes on and pays for no row twice.
 *
 * Each payment is one line in a file, the till, written before the request is settled: that is the
 * truth that spend.json and result.json are held against.
 *
 * Exit code 77 says that there is no redis-server here. RT_KEEP=1 keeps folder and logs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"
#include "common/dataset/archive.h"
#include "worker/teacher/publish.h"
#include "worker/teacher/shared_allowance.h"
#include "worker/teacher/take_shard.h"

#define N_ROWS     1500
#define N_TEACHERS 3
#define N_FLIGHTS  4
#define REQUEST_MS 15
/* At prices of 1 and 2 per million tokens. */
#define PROMPT_TOKENS 100
#define ANSWER_TOKENS 50 /* at most */
#define COST_MAX      (PROMPT_TOKENS * 1e-6 + ANSWER_TOKENS * 2e-6)

static char root[] = "/tmp/retort-paying-XXXXXX";
static char program[512], config_path[128], till_path[128];
static pid_t redis_pid, coordinator_pid, teacher_pids[N_TEACHERS];

static void stop_all(void);

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "FAILED: %s\n", what);
    stop_all();
    exit(1);
}

/* ---- a teacher ---- */

typedef struct flight {
    bool flies;
    uint64_t end_ms, n_completion;
    size_t i_example;
    allowance_need need;
} flight;

typedef struct payer {
    runtime *rt;
    allowance *allowance;
    queue *queue;
    queue_names names;
    int till;
} payer;

/* What the server's owner sees: the row, and what it cost. */
static void pay(const payer *p, rt_id id, const allowance_use *use)
{
    char line[96];
    int n = snprintf(line, sizeof line, "%016" PRIx64 "%016" PRIx64 " %.9f\n", id.high, id.low,
                     (double)use->n_prompt_tokens * 1e-6 + (double)use->n_completion_tokens * 2e-6);
    if (write(p->till, line, (size_t)n) != n) _exit(70);
}

static label_record record_of(const wire_leased_example *e)
{
    return (label_record){.id = e->id,
                          .input = strdup(e->input),
                          .label = strdup("42"),
                          .meta = strdup("{\"tokens\":{\"prompt\":100,\"completion\":25}}")};
}

static void end_flight(payer *p, flight *f, const wire_lease_grant *grant, label_record *records,
                       uint64_t now_ms)
{
    allowance_use use = {
        .known = true, .n_prompt_tokens = PROMPT_TOKENS, .n_completion_tokens = f->n_completion};
    pay(p, grant->examples[f->i_example].id, &use);
    allowance_settle(p->allowance, &f->need, &use, now_ms);
    records[f->i_example] = record_of(&grant->examples[f->i_example]);
    f->flies = false;
}

/* Label what the budget pays for; the rest has no record. */
static void label(payer *p, const wire_lease_grant *grant, label_record *records)
{
    flight flights[N_FLIGHTS] = {{0}};
    bool never = false;
    for (size_t next = 0, n_flying = 1; n_flying > 0 || next < grant->n_examples;) {
        uint64_t now_ms = rt_clock_mono_ms(), retry_ms;
        if (never) next = grant->n_examples;
        n_flying = 0;
        for (size_t i = 0; i < N_FLIGHTS; i++) {
            flight *f = &flights[i];
            if (f->flies && f->end_ms <= now_ms) end_flight(p, f, grant, records, now_ms);
            while (next < grant->n_examples && grant->examples[next].done) next++;
            if (!f->flies && next < grant->n_examples) {
                allowance_need need = {PROMPT_TOKENS, ANSWER_TOKENS, NULL, 0, 0};
                allowance_verdict v = allowance_take(p->allowance, &need, now_ms, &retry_ms);
                never = never || v == ALLOWANCE_NEVER;
                if (v == ALLOWANCE_GO)
                    *f = (flight){true, now_ms + REQUEST_MS, next % ANSWER_TOKENS, next, need};
                if (v == ALLOWANCE_GO) next++;
            }
            n_flying += f->flies;
        }
        allowance_turn(p->allowance, now_ms);
        rt_sleep_ms(1);
    }
    allowance_rest(p->allowance, rt_clock_mono_ms());
}

static rt_status work(payer *p, rt_error *err)
{
    for (;;) {
        leased_shard shard = {0};
        uint64_t retry_ms = 0;
        allowance_turn(p->allowance, rt_clock_mono_ms());
        if (runtime_phase(p->rt) == PHASE_FINISHED) return RT_OK;
        if (runtime_stopping(p->rt)) return rt_fail(err, RT_CANCELLED, "stopped");
        if (take_shard(p->rt, &shard, &retry_ms) != RT_OK) {
            runtime_wait(p->rt, retry_ms);
            continue;
        }
        size_t n = shard.grant->n_examples;
        label_record *records = rt_calloc(n, sizeof *records);
        label(p, shard.grant, records);
        rt_status st = publish_records(p->rt, p->queue, p->names.labels, records, n, 1000, err);
        if (st == RT_OK) report_shard_done(p->rt, shard.grant, n, 0);
        for (size_t i = 0; i < n; i++) label_record_free(&records[i]);
        free(records);
        leased_shard_free(&shard);
        if (st != RT_OK) return st;
    }
}

static int teach(const char *name)
{
    config *c = NULL;
    payer p = {.till = open(till_path, O_WRONLY | O_APPEND | O_CREAT, 0644)};
    rt_error err = {0};
    rt_stop_install();
    rt_status st = config_load(config_path, NULL, &c, &err);
    if (st == RT_OK) queue_names_of(c->name, &p.names);
    if (st == RT_OK) st = runtime_open(c, ROLE_TEACHER, name, 0, "", &p.rt, &err);
    if (st == RT_OK) st = shared_allowance_open(p.rt, &p.allowance, &err);
    if (st == RT_OK) st = runtime_open_queue(p.rt, &p.queue, &err);
    if (st == RT_OK) st = work(&p, &err);
    queue_close(p.queue);
    allowance_close(p.allowance);
    runtime_close(p.rt);
    config_free(c);
    if (st != RT_OK) fprintf(stderr, "%s: %s\n", name, err.text);
    return st == RT_OK ? 0 : 1;
}

/* ---- processes ---- */

static pid_t start(const char *const *words, const char *name)
{
    char log[128];
    snprintf(log, sizeof log, "%s/%s.log", root, name);
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid > 0) return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    if (words == NULL) _exit(teach(name));
    execvp(words[0], (char *const *)words);
    _exit(127);
}

static void kill_now(pid_t *pid)
{
    if (*pid <= 0) return;
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static void stop_all(void)
{
    for (int i = 0; i < N_TEACHERS; i++) kill_now(&teacher_pids[i]);
    kill_now(&coordinator_pid);
    kill_now(&redis_pid);
}

static bool start_redis(void)
{
    char socket[64];
    snprintf(socket, sizeof socket, "%s/redis.sock", root);
    const char *words[] = {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                           "--appendonly", "no",     NULL};
    redis_pid = start(words, "redis");
    for (int i = 0; i < 200; i++) {
        if (waitpid(redis_pid, NULL, WNOHANG) == redis_pid) return false;
        if (rt_fs_exists(socket)) return true;
        rt_sleep_ms(25);
    }
    return false;
}

static void start_coordinator(void)
{
    const char *words[] = {program,   "coordinator", "--config", config_path,
                           "--stage", "label",       NULL};
    coordinator_pid = start(words, "coordinator");
}

static void start_teacher(int i)
{
    char name[32];
    snprintf(name, sizeof name, "teacher-%d", i);
    teacher_pids[i] = start(NULL, name);
}

static void write_files(double budget)
{
    char path[128];
    rt_buf rows = {0}, text = {0};
    for (int i = 0; i < N_ROWS; i++)
        check(rt_buf_printf(&rows, NULL, "{\"input\": \"row %d\"}\n", i) == RT_OK, "rows");
    snprintf(path, sizeof path, "%s/rows.jsonl", root);
    check(rt_fs_write_atomic(path, rows.data, rows.n, NULL) == RT_OK, path);
    check(rt_buf_printf(&text, NULL,
                        "name: paying\nrun_dir: %s/run\n"
                        "corpus: {files: [%s]}\n"
                        "teacher: {backend: recorded, files: [%s], match_field: \"{input}\"}\n"
                        "label: {shard_size: 10, lease_ms: 3000}\n"
                        "limits: {in_flight_max: 8, requests_per_minute: 30000, budget: %.9f,\n"
                        "  price_input: 1, price_output: 2}\n"
                        "queue: {url: \"unix:%s/redis.sock\"}\n"
                        "net: {coordinator: \"ipc://%s/coordinator\", http: \"off\", "
                        "heartbeat_ms: 100, dead_after_ms: 1500}\n",
                        root, path, path, budget, root, root) == RT_OK,
          "config");
    check(rt_fs_write_atomic(config_path, text.data, text.n, NULL) == RT_OK, config_path);
    rt_buf_free(&rows);
    rt_buf_free(&text);
}

/* ---- what is found afterwards ---- */

typedef struct till {
    double paid;
    size_t n, n_archived_before; /* payments; for rows that the dataset held at a time */
} till;

static till read_till(size_t n_skip, const archive *before)
{
    till t = {0};
    char hex[40];
    double cost;
    FILE *f = fopen(till_path, "re");
    for (size_t i = 0; f != NULL && fscanf(f, "%39s %lf", hex, &cost) == 2; i++) {
        rt_id id = {0, 0};
        t.paid += cost;
        t.n++;
        check(sscanf(hex, "%16" SCNx64 "%16" SCNx64, &id.high, &id.low) == 2, "a line of the till");
        if (before != NULL && i >= n_skip && archive_find(before, id) != ARCHIVE_ABSENT)
            t.n_archived_before++;
    }
    if (f != NULL) fclose(f);
    return t;
}

static json_t *read_json(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/run/%s", root, name);
    json_t *top = json_load_file(path, 0, NULL);
    check(top != NULL, path);
    return top;
}

static double number_of(const json_t *top, const char *key)
{
    return json_number_value(json_object_get(top, key));
}

/* The ledger holds all that was paid, and neither is beyond the budget. */
static void check_money(const till *t, double budget)
{
    json_t *spend = read_json("spend.json");
    double spent = number_of(spend, "spent"), lost = number_of(spend, "lost_in_flight");
    printf("  paid %.6f in %zu requests; spend.json: %.6f spent, %.6f lost; budget %.6f\n", t->paid,
           t->n, spent, lost, budget);
    check(t->paid <= spent + lost + 1e-9, "more was paid than spend.json knows of");
    check(spent <= t->paid + 1e-9, "spend.json says more than was paid");
    check(spent + lost <= budget + 1e-9, "the budget was exceeded");
    json_decref(spend);
}

static void wait_end(uint64_t timeout_ms)
{
    int status = 0;
    for (uint64_t until_ms = rt_clock_mono_ms() + timeout_ms; rt_clock_mono_ms() < until_ms;) {
        if (waitpid(coordinator_pid, &status, WNOHANG) == coordinator_pid) {
            coordinator_pid = 0;
            check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the coordinator's exit code");
            for (int i = 0; i < N_TEACHERS; i++) {
                check(waitpid(teacher_pids[i], &status, 0) == teacher_pids[i], "a teacher");
                teacher_pids[i] = 0;
                check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a teacher's exit code");
            }
            return;
        }
        rt_sleep_ms(20);
    }
    check(false, "the run did not end in time");
}

static void check_result(const char *stopped, size_t n_labelled_min, size_t n_labelled_max)
{
    json_t *result = read_json("result.json");
    const char *why = json_string_value(json_object_get(result, "stopped"));
    size_t n = (size_t)number_of(result, "labelled"),
           n_left = (size_t)number_of(result, "left_out");
    double n_prompt = number_of(json_object_get(result, "record_tokens"), "prompt");
    printf("  labelled %zu, left out %zu, stopped by '%s'\n", n, n_left, why);
    check(why != NULL && strcmp(why, stopped) == 0, "result.json: stopped");
    check(n >= n_labelled_min && n <= n_labelled_max, "result.json: labelled");
    check(n + n_left == N_ROWS, "result.json: left_out");
    check(n_prompt == (double)n * PROMPT_TOKENS, "result.json: tokens");
    json_decref(result);
}

static void start_run(void)
{
    start_coordinator();
    for (int i = 0; i < N_TEACHERS; i++) start_teacher(i);
}

static till small_budget(void)
{
    const double budget = 100 * COST_MAX;
    write_files(budget);
    printf("a budget for a part of the rows; nobody is hurt\n");
    start_run();
    wait_end(60000);
    till t = read_till(0, NULL);
    check_money(&t, budget);
    check(t.paid > budget - 2 * COST_MAX, "the budget was not used up");
    check_result("budget", 100, N_ROWS - 1);
    return t;
}

/* Kills are worth something only in the middle of the work. */
static void wait_payments(size_t n)
{
    uint64_t until_ms = rt_clock_mono_ms() + 30000;
    while (read_till(0, NULL).n < n) {
        check(rt_clock_mono_ms() < until_ms, "nothing is paid any more");
        rt_sleep_ms(2);
    }
}

static void go_on(const till *before)
{
    char folder[128];
    archive *labels = NULL;
    const double budget = 2000 * COST_MAX;
    snprintf(folder, sizeof folder, "%s/run/dataset", root);
    check(archive_open_read_only(folder, &labels, NULL) == RT_OK, folder);
    write_files(budget);
    printf("a larger budget; teachers and the coordinator are killed on the way\n");
    start_run();
    for (int i = 0; i < N_TEACHERS; i++) { /* each once: one of them is hit in the middle */
        wait_payments(before->n + 150 * (size_t)(i + 1));
        kill_now(&teacher_pids[i]);
        start_teacher(i);
    }
    wait_payments(before->n + 700);
    kill_now(&coordinator_pid);
    rt_sleep_ms(100);
    start_coordinator();
    wait_end(60000);
    till t = read_till(before->n, labels);
    check_money(&t, budget);
    check(t.n_archived_before == 0, "a row that was there already was paid for again");
    check_result("", N_ROWS, N_ROWS);
    archive_close(labels);
}

int main(void)
{
    const char *build = getenv("RT_BUILD_DIR");
    if (build == NULL) build = "build/release";
    snprintf(program, sizeof program, "%s/retort", build);
    check(mkdtemp(root) != NULL, "a temporary folder");
    snprintf(config_path, sizeof config_path, "%s/retort.yaml", root);
    snprintf(till_path, sizeof till_path, "%s/till", root);
    if (!start_redis()) {
        fprintf(stderr, "SKIPPED: redis-server does not start\n");
        return 77;
    }
    till first = small_budget();
    go_on(&first);
    stop_all();
    if (getenv("RT_KEEP") == NULL) (void)!rt_fs_remove_tree(root, NULL);
    printf("OK\n");
    return 0;
}
