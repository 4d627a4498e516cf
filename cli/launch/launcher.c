/* The loop of the launcher. What to do with a dead child is decided in supervisor.c; this file
 * starts, reaps and draws.
 *
 *     running --coordinator exits 0--> leaving --all gone--> done
 *        |  \--Ctrl-C or fatal-------> draining --all gone--> code
 */
#include "cli/launch/launcher.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch/children.h"
#include "cli/launch/progress.h"
#include "cli/launch/smoke_lines.h"
#include "cli/stats_client.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"

#define TICK_MS          20
#define STATS_EVERY_MS   250
#define PIDS_RETRY_MS    1000
#define STATS_TIMEOUT_MS 500
#define LEAVE_MS         5000  /* for workers, after the coordinator has finished */
#define DRAIN_MS         20000 /* for everybody, after Ctrl-C */
#define SMOKE_BYTES_MAX  ((size_t)4 << 20)
#define SMOKE_COLUMNS    100

typedef struct launcher {
    children all;
    progress progress;
    run_stats stats;
    bool have_stats;
    uint64_t stats_next_ms;
    bool pids_changed; /* and launcher.json does not say so yet ... */
    bool pids_refused; /* ... because it could not be written */
    uint64_t pids_next_ms;
    bool smoke_shown; /* or there is none to be shown */
    bool finished;    /* the coordinator says that the run is complete */
    bool ending;      /* everybody was asked to leave */
    bool killed;      /* and then made to */
    uint64_t deadline_ms;
    exit_code code;
    rt_error *err;
} launcher;

static void end_all(launcher *l, exit_code code, uint64_t wait_ms)
{
    if (l->ending) return;
    l->ending = true;
    l->code = code;
    l->deadline_ms = rt_clock_mono_ms() + wait_ms;
    for (size_t i = 0; i < l->all.n; i++)
        if (l->all.items[i].role != CHILD_REDIS) process_signal(l->all.items[i].pid, SIGTERM);
}

/* Why a run cannot go on: the end of the child's log says it best. */
static void fail_because_of(launcher *l, const child *one, int code, const char *why)
{
    rt_buf tail = {0};
    if (one->role != CHILD_REDIS) {
        rt_status st = children_log_tail(&l->all, one, &tail, NULL);
        (void)st; /* without a log the message is shorter */
    }
    rt_fail(l->err, RT_REFUSED, "%s %s (exit code %d)%s%s", one->name, why, code,
            tail.n > 0 ? "; its log ends with:\n" : "", tail.n > 0 ? tail.data : "");
    rt_buf_free(&tail);
    exit_code mine =
        code == EXIT_CODE_USAGE || code == EXIT_CODE_DATA || code == EXIT_CODE_ENVIRONMENT
            ? (exit_code)code
            : EXIT_CODE_FAILED;
    end_all(l, mine, DRAIN_MS);
}

/* The coordinator's last act is result.json; leaving without it means that somebody stopped it. */
static void result_path(const launcher *l, char out[4200])
{
    snprintf(out, 4200, "%s/result.json", l->all.run_dir);
}

static bool work_is_done(const launcher *l, child_role role)
{
    char path[4200];
    if (l->finished) return true;
    if (role == CHILD_COORDINATOR) {
        result_path(l, path);
        return rt_fs_exists(path);
    }
    if (!l->have_stats) return false;
    if (role == CHILD_TEACHER) return l->stats.labelling_done;
    return l->stats.training_done;
}

/* Grows whenever a row is done or a step is made; a rewind takes steps back. */
static uint64_t progress_of(const launcher *l)
{
    return l->stats.n_labelled + l->stats.n_rejected + l->stats.step;
}

static void on_exit_of(launcher *l, child *one, const process_exit *e)
{
    supervisor_policy policy = {.restarts_max = l->all.config->launch.restarts_max,
                                .window_ms = l->all.config->launch.restart_window_s * 1000};
    one->pid = 0;
    if (l->ending) {
        one->done = true;
        return;
    }
    switch (supervisor_on_exit(&one->history, &policy, e->code, work_is_done(l, one->role),
                               progress_of(l), rt_clock_mono_ms())) {
    case SUPERVISOR_DONE:
        one->done = true;
        if (one->role == CHILD_COORDINATOR) {
            l->finished = true;
            l->deadline_ms = rt_clock_mono_ms() + LEAVE_MS;
        }
        break;
    case SUPERVISOR_RESTART:
        if (e->signal != 0)
            progress_say(&l->progress, "%s was ended by signal %d; starting it again", one->name,
                         e->signal);
        else if (e->code != 0)
            progress_say(&l->progress, "%s left with exit code %d; starting it again", one->name,
                         e->code);
        break;
    case SUPERVISOR_GIVE_UP: fail_because_of(l, one, e->code, "keeps failing"); break;
    case SUPERVISOR_FATAL: fail_because_of(l, one, e->code, "cannot go on"); break;
    }
}

static void reap(launcher *l)
{
    for (size_t i = 0; i < l->all.n; i++) {
        child *one = &l->all.items[i];
        process_exit e;
        if (one->pid > 0 && process_reap(one->pid, &e)) on_exit_of(l, one, &e);
    }
}

/* launcher.json only tells who is who: without room for it the run goes on. */
static void write_pids(launcher *l, uint64_t now_ms)
{
    rt_error why = {0};
    if (!l->pids_changed || now_ms < l->pids_next_ms) return;
    l->pids_changed = children_write_pids(&l->all, &why) != RT_OK;
    if (!l->pids_changed) {
        l->pids_refused = false;
        return;
    }
    if (!l->pids_refused) progress_say(&l->progress, "%s; trying again", why.text);
    l->pids_refused = true;
    l->pids_next_ms = now_ms + PIDS_RETRY_MS;
}

static void start_due(launcher *l, uint64_t now_ms)
{
    if (l->ending || l->finished) return;
    for (size_t i = 0; i < l->all.n && !l->ending; i++) {
        child *one = &l->all.items[i];
        if (one->pid > 0 || one->done || now_ms < one->history.restart_at_ms) continue;
        rt_status st = children_start(&l->all, one, l->err);
        if (st != RT_OK) end_all(l, exit_code_of(st), DRAIN_MS);
        l->pids_changed = true;
    }
    write_pids(l, now_ms);
}

static void refresh_stats(launcher *l, uint64_t now_ms)
{
    rt_buf body = {0};
    run_stats fresh;
    if (l->all.http[0] == '\0' || now_ms < l->stats_next_ms || l->ending) return;
    l->stats_next_ms = now_ms + STATS_EVERY_MS;
    if (stats_get(l->all.http, "/api/stats", l->all.config->net.http_key_file, STATS_TIMEOUT_MS,
                  &body, NULL) == RT_OK &&
        run_stats_parse(body.data, body.n, &fresh, NULL) == RT_OK) {
        if (!l->have_stats && !l->all.how->quiet)
            progress_say(&l->progress, "watch it at http://%s/", l->all.http);
        l->stats = fresh;
        l->have_stats = true;
        if (!l->all.how->quiet) progress_show(&l->progress, &l->stats, now_ms);
    }
    rt_buf_free(&body);
}

static bool read_smoke(const launcher *l, rt_buf *out)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/smoke.json", l->all.run_dir);
    return rt_fs_read(path, SMOKE_BYTES_MAX, out, NULL) == RT_OK;
}

/* Of an earlier start: one that was passed is not repeated, one that failed is. */
static void look_for_old_smoke(launcher *l)
{
    rt_buf json = {0};
    char path[4200];
    snprintf(path, sizeof path, "%s/smoke.json", l->all.run_dir);
    l->smoke_shown = l->all.how->quiet || l->all.how->stage == LAUNCH_TRAIN ||
                     (read_smoke(l, &json) && smoke_has_passed(json.data, json.n));
    if (!l->smoke_shown) unlink(path);
    rt_buf_free(&json);
}

static void show_smoke(launcher *l)
{
    rt_buf json = {0}, text = {0};
    char *rest = NULL;
    if (!l->smoke_shown && read_smoke(l, &json)) {
        l->smoke_shown = true;
        if (smoke_lines(json.data, json.n, SMOKE_COLUMNS, &text, NULL) == RT_OK)
            for (char *line = strtok_r(text.data, "\n", &rest); line != NULL;
                 line = strtok_r(NULL, "\n", &rest))
                progress_say(&l->progress, "%s", line);
    }
    rt_buf_free(&json);
    rt_buf_free(&text);
}

static void heed_stop(launcher *l)
{
    rt_stop stop = rt_stop_requested();
    if (stop == RT_STOP_NONE || l->killed) return;
    if (!l->ending) {
        progress_say(&l->progress, "stopping: what is in hand is being finished; the same command "
                                   "goes on later (Ctrl-C again: stop at once)");
        rt_fail(l->err, RT_CANCELLED, "interrupted; run the same command again to go on");
        end_all(l, EXIT_CODE_INTERRUPTED, DRAIN_MS);
    }
    if (stop == RT_STOP_NOW) l->deadline_ms = 0;
}

/* Once the coordinator is done, workers see it and leave; the rest is reminded. */
static void press_on(launcher *l, uint64_t now_ms)
{
    if (l->finished && !l->ending && now_ms >= l->deadline_ms) end_all(l, EXIT_CODE_OK, LEAVE_MS);
    if (l->ending && !l->killed && now_ms >= l->deadline_ms) {
        children_signal(&l->all, -1, SIGKILL);
        l->killed = true;
    }
}

/* True while a child other than Redis is running. */
static bool workers_left(const launcher *l)
{
    for (size_t i = 0; i < l->all.n; i++)
        if (l->all.items[i].role != CHILD_REDIS && l->all.items[i].pid > 0) return true;
    return false;
}

static void stop_redis(launcher *l)
{
    process_exit e;
    for (size_t i = 0; i < l->all.n; i++) {
        child *one = &l->all.items[i];
        if (one->role != CHILD_REDIS || one->pid <= 0) continue;
        process_signal(one->pid, SIGTERM);
        if (!process_wait(one->pid, LEAVE_MS, &e)) {
            process_signal(one->pid, SIGKILL);
            process_wait(one->pid, LEAVE_MS, &e);
        }
        one->pid = 0;
    }
}

exit_code launch_run(const config *c, const launch_options *how, rt_error *err)
{
    rt_error ours = {0};
    launcher l = {.code = EXIT_CODE_OK, .err = err != NULL ? err : &ours};
    rt_status st = children_plan(c, how, &l.all, err);
    if (st != RT_OK) return exit_code_of(st);
    char stale[4200];
    result_path(&l, stale);
    unlink(stale);
    look_for_old_smoke(&l);
    rt_stop_install();
    progress_begin(&l.progress, STDERR_FILENO, isatty(STDERR_FILENO) == 1);
    for (;;) {
        uint64_t now_ms = rt_clock_mono_ms();
        reap(&l);
        heed_stop(&l);
        press_on(&l, now_ms);
        start_due(&l, now_ms);
        show_smoke(&l);
        refresh_stats(&l, now_ms);
        if ((l.finished || l.ending) && !workers_left(&l)) break;
        rt_sleep_ms(TICK_MS);
    }
    stop_redis(&l);
    show_smoke(&l);
    progress_end(&l.progress);
    children_free(&l.all);
    return l.code;
}
