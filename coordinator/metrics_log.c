#include "coordinator/metrics_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/line_check.h"
#include "common/base/log.h"

#define FILE_BYTES_MAX ((size_t)4 << 30)

struct metrics_log {
    char *path;
    int fd;
    uint64_t last_step;
    uint64_t n_tokens;
    double seconds;
    double loss, losses[TASK_COUNT];
    uint64_t staleness[WIRE_STALE_MAX];
};

static uint64_t get_u64(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n < 0 ? 0 : (uint64_t)n;
}

static void get_sums(const json_t *tasks, wire_sums *out)
{
    *out = (wire_sums){0};
    for (int t = 0; t < TASK_COUNT; t++) {
        const json_t *task = json_object_get(tasks, student_task_name((student_task)t));
        out->loss[t] = json_number_value(json_object_get(task, "sum"));
        out->count[t] = json_number_value(json_object_get(task, "count"));
        out->n_seqs[t] = get_u64(task, "seqs");
        out->n_exact[t] = get_u64(task, "exact");
    }
}

static void note_losses(metrics_log *log, const wire_sums *sums)
{
    for (int t = 0; t < TASK_COUNT; t++)
        log->losses[t] = sums->count[t] > 0 ? sums->loss[t] / sums->count[t] : NAN;
}

static void take_staleness(metrics_log *log, const json_t *list)
{
    for (size_t i = 0; i < RT_MIN(json_array_size(list), (size_t)WIRE_STALE_MAX); i++) {
        json_int_t n = json_integer_value(json_array_get(list, i));
        log->staleness[i] += n < 0 ? 0 : (uint64_t)n;
    }
}

static rt_status take_line(metrics_log *log, const json_t *line, eval_board *board, rt_error *err)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    wire_sums sums;
    get_sums(json_object_get(line, "tasks"), &sums);
    if (kind != NULL && strcmp(kind, "step") == 0) {
        log->last_step = RT_MAX(log->last_step, get_u64(line, "step"));
        log->n_tokens = get_u64(line, "total_tokens");
        log->seconds = json_number_value(json_object_get(line, "seconds"));
        log->loss = json_number_value(json_object_get(line, "loss"));
        note_losses(log, &sums);
        take_staleness(log, json_object_get(line, "staleness"));
    } else if (kind != NULL && strcmp(kind, "evaluation") == 0) {
        return eval_board_add(board, get_u64(line, "version"), get_u64(line, "records"), &sums,
                              err);
    }
    return RT_OK;
}

static rt_status load_line(metrics_log *log, const char *text, size_t n, eval_board *board,
                           rt_error *err)
{
    json_error_t where;
    rt_status st = line_check_verify(text, n, err);
    if (st != RT_OK) return st;
    json_t *line = json_loadb(text, n, 0, &where);
    if (line == NULL)
        return rt_fail(err, RT_CORRUPT, "invalid JSON: %s at column %d", where.text, where.column);
    st = take_line(log, line, board, err);
    json_decref(line);
    return st;
}

/* Take every whole line; *n_good is where the last one ends. Scores decide which version is the best,
 * so a whole line that is not as it was written is no torn one: nothing may be made of it. */
static rt_status load(metrics_log *log, const rt_buf *text, eval_board *board, size_t *n_good,
                      rt_error *err)
{
    rt_status st = RT_OK;
    size_t at = 0;
    for (size_t i_line = 1; at < text->n; i_line++) {
        const char *end = memchr(text->data + at, '\n', text->n - at);
        if (end == NULL) break;
        size_t n = (size_t)(end - text->data) - at;
        st = load_line(log, text->data + at, n, board, err);
        if (st != RT_OK) return rt_wrap(err, st, "%s:%zu", log->path, i_line);
        at += n + 1;
    }
    *n_good = at;
    return st;
}

static rt_status open_file(metrics_log *log, eval_board *board, rt_error *err)
{
    rt_buf text = {0};
    size_t n_good = 0;
    rt_status st = rt_fs_read(log->path, FILE_BYTES_MAX, &text, err);
    if (st == RT_NOTFOUND) st = RT_OK;
    if (st == RT_OK && text.n > 0) st = load(log, &text, board, &n_good, err);
    if (st != RT_OK) goto out;
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log->fd < 0) {
        st = rt_fail(err, RT_IO, "open %s: %s", log->path, strerror(errno));
        goto out;
    }
    if (text.n == 0) st = rt_fs_sync_parent(log->path, err); /* perhaps it is new */
    if (n_good < text.n) {
        rt_log_warn("metrics.torn", "file=%s bytes_cut=%zu", log->path, text.n - n_good);
        if (ftruncate(log->fd, (off_t)n_good) != 0)
            st = rt_fail(err, RT_IO, "truncate %s: %s", log->path, strerror(errno));
    }
out:
    rt_buf_free(&text);
    return st;
}

rt_status metrics_log_open(const char *path, eval_board *board, metrics_log **out, rt_error *err)
{
    rt_status st;
    metrics_log *log = rt_calloc(1, sizeof *log);
    if (log == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    log->fd = -1;
    log->loss = NAN;
    note_losses(log, &(wire_sums){0});
    log->path = rt_strndup(path, strlen(path));
    st = log->path == NULL ? rt_fail(err, RT_NOMEM, "%s", path) : open_file(log, board, err);
    if (st != RT_OK) {
        metrics_log_close(log);
        return st;
    }
    *out = log;
    return RT_OK;
}

void metrics_log_close(metrics_log *log)
{
    if (log == NULL) return;
    if (log->fd >= 0) close(log->fd);
    free(log->path);
    free(log);
}

/* Tasks that count for something; numbers with all their digits. */
static json_t *tasks_to_json(const wire_sums *sums, bool exact)
{
    json_t *tasks = json_object();
    for (int t = 0; t < TASK_COUNT; t++) {
        if (sums->count[t] <= 0) continue;
        json_t *task = json_pack("{s:f, s:f, s:I}", "sum", sums->loss[t], "count", sums->count[t],
                                 "seqs", (json_int_t)sums->n_seqs[t]);
        if (exact) json_object_set_new(task, "exact", json_integer((json_int_t)sums->n_exact[t]));
        json_object_set_new(tasks, student_task_name((student_task)t), task);
    }
    return tasks;
}

/* Takes the object. */
static rt_status write_line(metrics_log *log, json_t *line, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf text = {0};
    char *dump = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (dump == NULL) return rt_fail(err, RT_NOMEM, "%s", log->path);
    off_t before = lseek(log->fd, 0, SEEK_END);
    st = rt_buf_add(&text, dump, strlen(dump) - 1, err); /* its closing brace comes later */
    if (st == RT_OK) st = line_check_close(&text, 0, err);
    if (st == RT_OK) st = rt_fs_write_all(log->fd, text.data, text.n, log->path, err);
    if (st == RT_IO && before >= 0 && ftruncate(log->fd, before) != 0)
        rt_log_warn("metrics.torn", "file=%s", log->path); /* cut at the next opening */
    free(dump);
    rt_buf_free(&text);
    return st;
}

/* JSON has no word for what is not finite. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* As far as there is anything; NULL for NULL. */
json_t *staleness_to_json(const uint64_t *staleness)
{
    size_t n = 0;
    if (staleness == NULL) return NULL;
    for (size_t i = 0; i < WIRE_STALE_MAX; i++)
        if (staleness[i] > 0) n = i + 1;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)staleness[i]));
    return list;
}

rt_status metrics_log_step(metrics_log *log, const metrics_step *step, rt_error *err)
{
    if (step->step <= log->last_step) return RT_OK;
    uint64_t total = log->n_tokens + step->n_tokens;
    json_t *line =
        json_pack("{s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:f, s:f}", "kind", "step", "step",
                  (json_int_t)step->step, "loss", number(step->loss), "tasks",
                  tasks_to_json(&step->sums, false), "grad_norm", number(step->grad_norm), "epoch",
                  (json_int_t)step->epoch, "records", (json_int_t)step->n_records, "tokens",
                  (json_int_t)step->n_tokens, "total_tokens", (json_int_t)total, "seconds",
                  step->seconds, "tokens_per_s", step->tokens_per_s);
    json_t *staleness = staleness_to_json(step->staleness);
    if (staleness != NULL) json_object_set_new(line, "staleness", staleness);
    rt_status st = write_line(log, line, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; step->staleness != NULL && i < WIRE_STALE_MAX; i++)
        log->staleness[i] += step->staleness[i];
    log->last_step = step->step;
    log->n_tokens = total;
    log->seconds = step->seconds;
    log->loss = step->loss;
    note_losses(log, &step->sums);
    return RT_OK;
}

rt_status metrics_log_evaluation(metrics_log *log, const eval_score *score, rt_error *err)
{
    json_t *line = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "kind", "evaluation", "version",
                             (json_int_t)score->version, "records", (json_int_t)score->n_records,
                             "loss", number(score->loss), "exact", number(score->exact), "tasks",
                             tasks_to_json(&score->sums, true));
    rt_status st = write_line(log, line, err);
    if (st == RT_OK && fsync(log->fd) != 0)
        st = rt_fail(err, RT_IO, "sync %s: %s", log->path, strerror(errno));
    return st;
}

uint64_t metrics_log_last_step(const metrics_log *log)
{
    return log->last_step;
}

uint64_t metrics_log_n_tokens(const metrics_log *log)
{
    return log->n_tokens;
}

double metrics_log_seconds(const metrics_log *log)
{
    return log->seconds;
}

const uint64_t *metrics_log_staleness(const metrics_log *log)
{
    return log->staleness;
}

double metrics_log_loss(const metrics_log *log)
{
    return log->loss;
}

const double *metrics_log_losses(const metrics_log *log)
{
    return log->losses;
}
