/* Students and parameter-server shards as real processes: whatever their number, whichever of them
 * is killed, and if the queue is emptied in mid-run, the weights have the same bits. In modes ssp and
 * async they have not, and every micro-batch counts once all the same.
 *
 * With "bench [N_VOCAB [N_STEPS [SPIN_US]]]", the time of steps that compute next to nothing, for a student of a
 * million parameters and more: what a step costs beyond computing.
 *
 * Exit code 77 says that there is no redis-server here. RT_KEEP=1 keeps folder and logs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/ckpt/safetensors.h"
#include "tests/integration/toy_coordinator.h"

#define TENSORS_MAX 512
#define CHILDREN    8

static char root[] = "/tmp/retort-training-XXXXXX";
static char program[512], url[256];
static pid_t redis_pid;
static char spin_text[64]; /* net.spin_us, if it is given */

/* Shape of the student and length of its training. */
typedef struct size {
    uint64_t n_steps;
    uint32_t n_vocab, d_model;
} size;
static const size small = {30, 256, 32};
static size large = {300, 4096, 128};

typedef struct scenario {
    const char *name;
    uint32_t n_shards, n_students;
    uint64_t kill_student_at, flush_at, kill_shard_at, stop_student_at; /* versions; 0: never */
    uint64_t kill_pushing_at; /* the same: with one gradient on its way and the next one computed */
    bool in_frames;           /* net.shared_memory is off */
    const char *mode;         /* NULL: sync */
} scenario;

static const scenario scenarios[] = {
    {"one student, one shard", 1, 1, 0, 0, 0, 0, 0, false, NULL},
    {"three students, two shards", 2, 3, 0, 0, 0, 0, 0, false, NULL},
    {"the same in frames", 2, 3, 0, 0, 0, 0, 0, true, NULL},
    {"killed students, emptied queue", 2, 2, 7, 12, 0, 17, 0, false, NULL},
    {"killed while pushing", 2, 1, 0, 0, 0, 0, 9, false, NULL},
    {"killed while pushing frames", 2, 2, 0, 0, 0, 0, 9, true, NULL},
    {"killed shard", 3, 2, 0, 0, 11, 0, 0, false, NULL},
};

/* Their bits are their own: what is checked is that everything counted, once. */
#define STALENESS_MAX 3
static const scenario other_modes[] = {
    {"ssp, three students, two shards", 2, 3, 0, 0, 0, 0, 0, false, "ssp"},
    {"ssp, killed students, emptied queue", 2, 2, 7, 12, 0, 17, 0, false, "ssp"},
    {"async, three students, two shards", 2, 3, 0, 0, 0, 0, 0, false, "async"},
    {"async, killed students, emptied queue", 2, 2, 7, 12, 0, 17, 0, false, "async"},
    {"async, killed shard", 3, 2, 0, 0, 11, 0, 0, false, "async"},
};

typedef struct outcome {
    char weights[RT_ID_HEX_SIZE];
    double loss, norm;
    uint64_t n_counted, staleness_max;
} outcome;

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
}

static pid_t start(const char *const *words, const char *log)
{
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid > 0) return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execvp(words[0], (char *const *)words);
    _exit(127);
}

static bool start_redis(void)
{
    char socket[128], log[128];
    snprintf(socket, sizeof socket, "%s/redis.sock", root);
    snprintf(log, sizeof log, "%s/redis.log", root);
    snprintf(url, sizeof url, "unix:%s", socket);
    const char *words[] = {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                           "--appendonly", "no",     NULL};
    redis_pid = start(words, log);
    for (int i = 0; i < 200; i++) {
        if (waitpid(redis_pid, NULL, WNOHANG) == redis_pid) return false;
        if (rt_fs_exists(socket)) return true;
        rt_sleep_ms(25);
    }
    return false;
}

/* ---- the cluster ---- */

typedef struct cluster {
    const scenario *what;
    const size *size;
    char folder[256], config[300];
    toy_coordinator *coordinator;
    pid_t shards[CHILDREN], students[CHILDREN];
} cluster;

static void write_config(cluster *c)
{
    char text[2048];
    int n =
        snprintf(text, sizeof text,
                 "name: toy\nseed: 5\nthreads: 1\n"
                 "corpus: {files: [none.jsonl]}\n"
                 "teacher: {files: [none.jsonl], match_field: \"{input}\"}\n"
                 "student: {d_model: %" PRIu32 ", n_layers: 2, n_heads: 4, n_kv_heads: 2, "
                 "d_ff: 64, seq_len_max: 64, dropout: 0.1, tied: false}\n"
                 "train: {steps: %" PRIu64 ", micro_batches: %d, lr: 0.01, clip_norm: 1.0, "
                 "mode: %s, staleness_max: %d}\n"
                 "queue: {url: \"%s\"}\n"
                 "net: {coordinator: \"%s\", heartbeat_ms: 100, dead_after_ms: 2000, "
                 "shared_memory: %s%s}\n",
                 c->size->d_model, c->size->n_steps, TOY_MICRO_BATCHES,
                 c->what->mode == NULL ? "sync" : c->what->mode, STALENESS_MAX, url,
                 toy_endpoint(c->coordinator), c->what->in_frames ? "false" : "true", spin_text);
    snprintf(c->config, sizeof c->config, "%s/retort.yaml", c->folder);
    check(rt_fs_write_atomic(c->config, text, (size_t)n, NULL) == RT_OK, "write the config");
}

static pid_t start_worker(const cluster *c, const char *role, uint32_t i)
{
    char log[300], name[32];
    bool is_server = strcmp(role, "server") == 0;
    snprintf(log, sizeof log, "%s/%s-%u.log", c->folder, role, i);
    snprintf(name, sizeof name, is_server ? "%u" : "student-%u", i);
    const char *words[] = {program, role, "--config", c->config, is_server ? "--shard" : "--name",
                           name,    NULL};
    return start(words, log);
}

static void kill_worker(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void restart_student(cluster *c, uint32_t i, int signal_number)
{
    int status = 0;
    char name[32];
    snprintf(name, sizeof name, "student-%u", i);
    kill(c->students[i], signal_number);
    while (waitpid(c->students[i], &status, WNOHANG) == 0) toy_turn(c->coordinator);
    if (signal_number == SIGTERM)
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a student leaves with 0 on SIGTERM");
    toy_requeue(c->coordinator, name);
    c->students[i] = start_worker(c, "student", i);
}

static void turn_for(cluster *c, double seconds)
{
    for (double until = rt_clock_mono_s() + seconds; rt_clock_mono_s() < until;)
        toy_turn(c->coordinator);
}

/* A shard that does not answer holds up the gradient before; the one behind it is computed meanwhile.
 * Stopped between two steps it holds up something else: then it goes on, and once more. */
static void kill_between_pushes(cluster *c)
{
    double start_s = rt_clock_mono_s();
    for (;;) {
        kill(c->shards[0], SIGSTOP);
        turn_for(c, 0.35); /* some heartbeats */
        if (strncmp(toy_student_busy(c->coordinator), "pushing", 7) == 0) break;
        kill(c->shards[0], SIGCONT);
        check(rt_clock_mono_s() - start_s < 30, "a student waits for a shard that has stopped");
        toy_turn(c->coordinator);
    }
    kill_worker(c->students[0]);
    kill(c->shards[0], SIGCONT);
    toy_requeue(c->coordinator, "student-0");
    c->students[0] = start_worker(c, "student", 0);
}

static void disturb(cluster *c, bool done[5])
{
    uint64_t version = toy_version(c->coordinator);
    const scenario *s = c->what;
    if (s->kill_student_at > 0 && !done[0] && version >= s->kill_student_at) {
        done[0] = true;
        restart_student(c, 0, SIGKILL);
    }
    if (s->flush_at > 0 && !done[1] && version >= s->flush_at) {
        done[1] = true;
        toy_flush(c->coordinator);
    }
    if (s->kill_shard_at > 0 && !done[2] && version >= s->kill_shard_at) {
        done[2] = true;
        kill_worker(c->shards[0]);
        c->shards[0] = start_worker(c, "server", 0);
    }
    if (s->kill_pushing_at > 0 && !done[4] && version >= s->kill_pushing_at) {
        done[4] = true;
        kill_between_pushes(c);
    }
    if (s->stop_student_at > 0 && !done[3] && version >= s->stop_student_at) {
        done[3] = true;
        restart_student(c, 1, SIGTERM);
    }
}

/* ---- what came out ---- */

typedef struct named_hash {
    char name[160];
    rt_id hash;
} named_hash;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const named_hash *)a)->name, ((const named_hash *)b)->name);
}

static void hash_file(const char *path, named_hash *hashes, size_t *n)
{
    rt_error err = {0};
    safetensors *file = NULL;
    if (safetensors_open(path, &file, &err) != RT_OK) check(false, err.text);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const tensor_entry *e = safetensors_entry(file, i);
        float *floats = malloc(e->n * sizeof *floats);
        safetensors_read_f32(file, e, floats);
        check(*n < TENSORS_MAX, "few tensors");
        snprintf(hashes[*n].name, sizeof hashes[*n].name, "%s", e->name);
        hashes[(*n)++].hash = rt_id_of(floats, e->n * sizeof *floats);
        free(floats);
    }
    safetensors_close(file);
}

/* One hash over all tensors by name, weights and moments, however they lie on shards. */
static void hash_checkpoint(const char *folder, char out[RT_ID_HEX_SIZE])
{
    static named_hash hashes[TENSORS_MAX];
    char path[1024];
    size_t n = 0;
    memset(hashes, 0, sizeof hashes);
    DIR *dir = opendir(folder);
    check(dir != NULL, "the checkpoint is there");
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strstr(e->d_name, ".safetensors") == NULL) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        hash_file(path, hashes, &n);
    }
    closedir(dir);
    check(n > 0, "the checkpoint has tensors");
    qsort(hashes, n, sizeof *hashes, compare_names);
    rt_id_to_hex(rt_id_of(hashes, n * sizeof *hashes), out);
}

static void wait_for_exit(pid_t pid, const char *who)
{
    int status = 0;
    for (int i = 0; i < 400; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            check(WIFEXITED(status) && WEXITSTATUS(status) == 0, who);
            return;
        }
        rt_sleep_ms(25);
    }
    check(false, who);
}

static outcome run(const scenario *what, const size *size_of, size_t i_scenario)
{
    cluster c = {.what = what, .size = size_of};
    outcome out;
    bool done[5] = {false};
    char checkpoint[512];
    double start_s = rt_clock_mono_s();
    snprintf(c.folder, sizeof c.folder, "%s/run-%zu", root, i_scenario);
    check(rt_fs_mkdirs(c.folder, NULL) == RT_OK, "make a folder");
    c.coordinator = toy_coordinator_new("toy", url, what->n_shards, size_of->n_steps,
                                        size_of->n_vocab, c.folder);
    write_config(&c);
    for (uint32_t i = 0; i < what->n_shards; i++) c.shards[i] = start_worker(&c, "server", i);
    for (uint32_t i = 0; i < what->n_students; i++) c.students[i] = start_worker(&c, "student", i);
    while (!toy_is_finished(c.coordinator)) {
        toy_turn(c.coordinator);
        disturb(&c, done);
        check(rt_clock_mono_s() - start_s < (size_of == &large ? 600 : 60),
              "training ends within a minute, a benchmark within ten");
    }
    double seconds = rt_clock_mono_s() - start_s;
    /* Heartbeats go on until everybody knows that it is over. */
    turn_for(&c, 1);
    for (uint32_t i = 0; i < what->n_shards; i++)
        wait_for_exit(c.shards[i], "a shard leaves with 0");
    for (uint32_t i = 0; i < what->n_students; i++)
        wait_for_exit(c.students[i], "a student leaves with 0");
    snprintf(checkpoint, sizeof checkpoint, "%s/step-%" PRIu64 ".partial", c.folder,
             size_of->n_steps);
    hash_checkpoint(checkpoint, out.weights);
    out.loss = toy_scores(c.coordinator).loss[0];
    out.norm = toy_last_norm(c.coordinator);
    out.n_counted = toy_n_counted(c.coordinator);
    out.staleness_max = toy_staleness_max(c.coordinator);
    printf("%-32s %s  norm %.17g  loss %.6f  %.2f s\n", what->name, out.weights, out.norm, out.loss,
           seconds);
    printf("    student-0: %.0f micro-batches, %.2f s computing, %.2f s waiting for versions and "
           "work, %.2f s pulling, %.2f s pushing and %.2f s beside\n",
           toy_student_counter(c.coordinator, "micro_batches"),
           toy_student_counter(c.coordinator, "compute_seconds"),
           toy_student_counter(c.coordinator, "wait_seconds"),
           toy_student_counter(c.coordinator, "pull_seconds"),
           toy_student_counter(c.coordinator, "push_seconds"),
           toy_student_counter(c.coordinator, "push_beside_seconds"));
    check(size_of == &large ||
              (toy_student_counter(c.coordinator, "pulls_shared") > 0) == !what->in_frames,
          "parameters come out of shared memory where that is on");
    toy_coordinator_free(c.coordinator);
    return out;
}

static void clean_up(void)
{
    if (redis_pid > 0) kill_worker(redis_pid);
    if (getenv("RT_KEEP") == NULL && rt_fs_remove_tree(root, NULL) != RT_OK)
        fprintf(stderr, "left behind: %s\n", root);
}

static void check_other_mode(const scenario *what, const outcome *sync, size_t i_scenario)
{
    outcome o = run(what, &small, i_scenario);
    printf("    %" PRIu64 " micro-batches, at most %" PRIu64 " versions behind\n", o.n_counted,
           o.staleness_max);
    check(o.n_counted == small.n_steps * TOY_MICRO_BATCHES, "every micro-batch counted once");
    check(o.staleness_max <= STALENESS_MAX, "staleness is bounded");
    check(fabs(o.loss - sync->loss) < 0.2 * sync->loss,
          "the student learns what it learns in sync");
}

int main(int argc, char **argv)
{
    bool bench = argc > 1 && strcmp(argv[1], "bench") == 0;
    if (bench && argc > 2) large.n_vocab = (uint32_t)strtoul(argv[2], NULL, 10);
    if (bench && argc > 3) large.n_steps = strtoull(argv[3], NULL, 10);
    if (bench && argc > 4) snprintf(spin_text, sizeof spin_text, ", spin_us: %s", argv[4]);
    const char *build = getenv("RT_BUILD_DIR");
    check(build != NULL, "RT_BUILD_DIR is set (ctest does)");
    snprintf(program, sizeof program, "%s/retort", build);
    check(mkdtemp(root) != NULL, "make a folder");
    atexit(clean_up);
    if (!start_redis()) {
        redis_pid = 0;
        fprintf(stderr, "skipped: redis-server does not start here\n");
        return 77;
    }
    const size *how = bench ? &large : &small;
    outcome first = run(&scenarios[0], how, 0);
    for (size_t i = 1; i < (bench ? 2 : RT_COUNT(scenarios)); i++) {
        outcome other = run(&scenarios[i], how, i);
        check(strcmp(first.weights, other.weights) == 0, "the weights have the same bits");
        check(first.norm == other.norm, "the gradient's norm has the same bits");
        check(first.loss == other.loss, "the scores are the same");
    }
    for (size_t i = 0; i < (bench ? 0 : RT_COUNT(other_modes)); i++)
        check_other_mode(&other_modes[i], &first, RT_COUNT(scenarios) + i);
    return 0;
}
