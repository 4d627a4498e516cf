/* Points of the curves, rows and standing problems: what is looked at once in a while, not told by the
 * place where it happens (tell.c). */
#include "coordinator/watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "coordinator/member_sums.h"
#include "coordinator/shell.h"

#define ROWS_MS      2000
#define PROBLEM_MS   2000 /* a problem that changes faster is told when it stays */
#define ROW_TAIL_MAX (512 << 10)

static double wall_s(void)
{
    return (double)rt_clock_wall_ms() / 1000.0;
}

/* ---- rows that were there before ---- */

static void take_tail(recent_rows *rows, const char *text, size_t n, bool whole)
{
    const char *at = whole ? text : memchr(text, '\n', n);
    for (const char *end; at != NULL && (end = memchr(at, '\n', n - (size_t)(at - text))) != NULL;
         at = end + 1) {
        label_record r = {0};
        if (label_record_from_json(at, (size_t)(end - at), &r, NULL) == RT_OK)
            recent_rows_add(rows, &r, NAN);
        label_record_free(&r);
    }
}

/* The end of a file of the dataset. What cannot be read is not shown. */
static void load_tail(recent_rows *rows, const char *folder, const char *name)
{
    char path[RUN_PATH_SIZE];
    char *text = malloc(ROW_TAIL_MAX);
    if (text == NULL || rt_fs_join(path, sizeof path, folder, name, NULL) != RT_OK) goto out;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) goto out;
    off_t n_file = lseek(fd, 0, SEEK_END);
    off_t from = n_file > ROW_TAIL_MAX ? n_file - ROW_TAIL_MAX : 0;
    ssize_t n = n_file < 0 ? -1 : pread(fd, text, ROW_TAIL_MAX, from);
    if (n > 0) take_tail(rows, text, (size_t)n, from == 0);
    close(fd);
out:
    free(text);
}

static void load_rows(coordinator *co)
{
    char own[RUN_PATH_SIZE];
    const char *folder = co->dataset;
    if (co->stage != STAGE_TRAIN) {
        if (run_folder_path(&co->folder, "dataset", own, NULL) != RT_OK) return;
        folder = own;
    }
    load_tail(co->watch.rows, folder, "labels.jsonl");
    load_tail(co->watch.rows, folder, "rejected.jsonl");
}

/* ---- scores and points ---- */

static void task_losses(const wire_sums *sums, double *out)
{
    for (int t = 0; t < TASK_COUNT; t++)
        out[t] = sums->count[t] > 0 ? sums->loss[t] / sums->count[t] : NAN;
}

/* Scores of the board that the history does not have. */
static void add_scores(coordinator *co, double time_s, rt_buf *lines)
{
    run_watch *w = &co->watch;
    for (size_t n = eval_board_n(co->board); w->n_scores < n; w->n_scores++) {
        const eval_score *s = eval_board_at(co->board, w->n_scores);
        history_evaluation e = {
            .version = s->version, .time_s = time_s, .loss = s->loss, .exact = s->exact};
        task_losses(&s->sums, e.losses);
        pictures_lock(co->pictures);
        bool is_new = history_add_evaluation(pictures_history(co->pictures), &e);
        pictures_unlock(co->pictures);
        if (is_new) (void)!history_evaluation_line(&e, lines, NULL);
    }
}

static double run_s(const coordinator *co)
{
    return co->watch.t_base_s + (double)(co->now_ms - co->start_ms) / 1000.0;
}

static history_point point_now(const coordinator *co)
{
    money_sums money;
    double tokens_per_s = progress_rate_get(&co->token_rate);
    money_sum(co, &money);
    history_point p = {.time_s = wall_s(),
                       .t_s = run_s(co),
                       .n_labelled = archive_n_labelled(co->archive),
                       .n_rejected = archive_n_rejected(co->archive),
                       .labelled_per_s =
                           labelling_is_done(co) ? 0 : progress_rate_get(&co->label_rate),
                       .step = step_control_version(co->steps),
                       .loss = NAN,
                       .tokens_per_s = tokens_per_s,
                       .mflops_per_s = compute_rate_of(co->members, tokens_per_s).mflops_per_s,
                       .grad_norm = co->grad_norm,
                       .n_labels_queue = co->n_labels_in_stream,
                       .n_batches_queue = co->n_batches_measured,
                       .cost = money.spent,
                       .n_teachers = membership_n_alive(co->members, ROLE_TEACHER),
                       .n_students = membership_n_alive(co->members, ROLE_STUDENT),
                       .n_servers = membership_n_alive(co->members, ROLE_SERVER)};
    for (int t = 0; t < TASK_COUNT; t++) p.losses[t] = NAN;
    if (co->metrics != NULL) {
        p.loss = metrics_log_loss(co->metrics);
        memcpy(p.losses, metrics_log_losses(co->metrics), sizeof p.losses);
    }
    return p;
}

static void add_point(coordinator *co, rt_buf *lines)
{
    history *h = pictures_history(co->pictures);
    bool ends = co->ending != RUN_GOES_ON && !co->watch.ended;
    if (!ends && (co->watch.ended || !history_is_due(h, run_s(co)))) return;
    co->watch.ended = co->ending != RUN_GOES_ON;
    history_point p = point_now(co);
    pictures_lock(co->pictures);
    history_add(h, &p);
    pictures_unlock(co->pictures);
    (void)!history_point_line(&p, lines, NULL);
}

static void show_rows_of(coordinator *co)
{
    rt_buf text = {0};
    run_watch *w = &co->watch;
    uint64_t n = recent_rows_n(w->rows);
    bool first = w->rows_shown_ms == 0;
    if (!first && (n == w->n_rows_shown || co->now_ms - w->rows_shown_ms < ROWS_MS)) return;
    w->n_rows_shown = n;
    w->rows_shown_ms = co->now_ms;
    if (recent_rows_to_json(w->rows, &text, NULL) == RT_OK)
        pictures_put(co->pictures, PICTURE_ROWS, &text);
    rt_buf_free(&text);
}

/* ---- what stands ---- */

static void tell_problem(coordinator *co)
{
    char scratch[512];
    run_watch *w = &co->watch;
    const char *problem = show_problem(co, scratch, sizeof scratch);
    if (strncmp(problem, w->problem, sizeof w->problem - 1) == 0) return;
    if (w->problem_ms != 0 && co->now_ms - w->problem_ms < PROBLEM_MS) return;
    if (problem[0] != '\0')
        tell(co, EVENT_PROBLEM, "", "%s", problem);
    else
        tell(co, EVENT_PROBLEM, "", "over: %.300s", w->problem);
    snprintf(w->problem, sizeof w->problem, "%s", problem);
    w->problem_ms = co->now_ms;
}

static void tell_labels(coordinator *co)
{
    run_watch *w = &co->watch;
    bool spent = lease_table_is_closed(co->leases);
    if (spent && w->money_told[0] == '\0') {
        snprintf(w->money_told, sizeof w->money_told, "budget");
        tell(co, EVENT_MONEY, "", "the budget of %.10g %s is spent: nothing more is leased",
             co->config->limits.budget, co->config->limits.currency);
    }
    if (w->labels_told || !labelling_is_done(co) || co->stage == STAGE_TRAIN) return;
    w->labels_told = true;
    tell(co, EVENT_RUN, "", "labelling is through: %" PRIu64 " labelled, %" PRIu64 " rejected",
         archive_n_labelled(co->archive), archive_n_rejected(co->archive));
}

/* ---- life ---- */

rt_status watch_open(coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    run_watch *w = &co->watch;
    rt_buf lines = {0};
    if ((w->rows = rt_calloc(1, sizeof *w->rows)) == NULL)
        return rt_fail(err, RT_NOMEM, "coordinator");
    rt_status st = pictures_new(rt_clock_wall_ms(), &co->pictures, err);
    if (st == RT_OK) st = run_folder_path(&co->folder, "history.jsonl", path, err);
    if (st != RT_OK) return st;
    history *h = pictures_history(co->pictures);
    w->file = history_file_open(path, h);
    w->t_base_s = history_t_s(h);
    w->labels_told = labelling_is_done(co);
    load_rows(co);
    co->archiving.recent = w->rows;
    add_scores(co, NAN, &lines); /* scored when nobody kept a history */
    history_file_add(w->file, &lines);
    rt_buf_free(&lines);
    tell(co, EVENT_RUN, "", "started: %zu examples, %" PRIu64 " labelled, %" PRIu64 " rejected",
         corpus_source_n(co->corpus), archive_n_labelled(co->archive),
         archive_n_rejected(co->archive));
    return RT_OK;
}

void watch_close(coordinator *co)
{
    history_file_close(co->watch.file);
    free(co->watch.rows);
    pictures_free(co->pictures);
}

void watch_turn(coordinator *co)
{
    char scratch[256];
    run_view view;
    rt_buf lines = {0};
    tell_problem(co);
    tell_labels(co);
    add_scores(co, wall_s(), &lines);
    add_point(co, &lines);
    history_file_add(co->watch.file, &lines);
    rt_buf_free(&lines);
    show_rows_of(co);
    run_view_of(co, &view);
    pictures_set_ready(co->pictures, ready_why_not(&view, scratch, sizeof scratch));
}
