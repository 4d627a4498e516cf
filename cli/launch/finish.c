#include "cli/launch/finish.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch/process.h"
#include "cli/summary.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"

#define ARGV_MAX 128
#define GRACE_MS 5000

/* A command line being put together: borrowed words. */
typedef struct words {
    char *items[ARGV_MAX];
    size_t n;
} words;

static void add_word(words *w, const char *word)
{
    RT_ASSERT(w->n + 1 < ARGV_MAX);
    w->items[w->n++] = (char *)word;
    w->items[w->n] = NULL;
}

static void add_config(words *w, const launch_options *how, const char *run_set)
{
    add_word(w, "--config");
    add_word(w, how->config_path);
    for (const char *const *s = how->sets; s != NULL && *s != NULL && w->n < ARGV_MAX - 32; s++) {
        add_word(w, "--set");
        add_word(w, *s);
    }
    add_word(w, "--set");
    add_word(w, run_set);
}

/* Run one step to its end; Ctrl-C ends it too. stdout goes to `output` (NULL: nowhere special). */
static exit_code run_step(words *w, const char *what, const char *log, const char *output,
                          rt_error *err)
{
    process_spec spec = {
        .path = PROCESS_SELF, .argv = w->items, .log_path = log, .output_path = output};
    process_exit e = {0};
    pid_t pid = 0;
    rt_status st = process_start(&spec, &pid, err);
    if (st != RT_OK) return exit_code_of(st);
    while (!process_wait(pid, 100, &e)) {
        if (rt_stop_requested() == RT_STOP_NONE) continue;
        process_signal(pid, SIGTERM);
        if (!process_wait(pid, GRACE_MS, &e)) process_signal(pid, SIGKILL);
        rt_fail(err, RT_CANCELLED, "interrupted; run the same command again to go on");
        return EXIT_CODE_INTERRUPTED;
    }
    if (e.code == 0) return EXIT_CODE_OK;
    rt_fail(err, RT_REFUSED, "%s failed with exit code %d; see %s", what, e.code, log);
    return e.code <= EXIT_CODE_BUDGET ? (exit_code)e.code : EXIT_CODE_FAILED;
}

/* Paths of one trained run: the student's or the control's. */
typedef struct places {
    char run_dir[4096];
    char run_set[4200];
    char student[4096];
    char eval[4096];
    char log[4096];
} places;

static rt_status find_places(const config *c, places *out, rt_error *err)
{
    rt_status st = launch_run_dir(c, out->run_dir, sizeof out->run_dir, err);
    if (st == RT_OK)
        st = rt_fs_join(out->student, sizeof out->student, out->run_dir, "student", err);
    if (st == RT_OK) st = rt_fs_join(out->eval, sizeof out->eval, out->run_dir, "eval.json", err);
    if (st == RT_OK)
        st = rt_fs_join(out->log, sizeof out->log, out->run_dir, "logs/finish.log", err);
    if (st == RT_OK) snprintf(out->run_set, sizeof out->run_set, "run_dir=%s", out->run_dir);
    return st;
}

static void say(const launch_options *how, const char *what)
{
    if (!how->quiet) fprintf(stderr, "%s\n", what);
}

static exit_code export_and_score(const config *c, const launch_options *how, const places *p,
                                  bool teacher, rt_error *err)
{
    words w = {.n = 0};
    add_word(&w, "retort");
    add_word(&w, "export");
    add_config(&w, how, p->run_set);
    add_word(&w, "--output");
    add_word(&w, p->student);
    exit_code code = run_step(&w, "retort export", p->log, NULL, err);
    if (code != EXIT_CODE_OK || c->eval.files.n == 0) return code;

    char show[24];
    snprintf(show, sizeof show, "%llu", (unsigned long long)c->eval.show);
    w.n = 0;
    add_word(&w, "retort");
    add_word(&w, "eval");
    add_config(&w, how, p->run_set);
    add_word(&w, "--model");
    add_word(&w, p->student);
    add_word(&w, "--show");
    add_word(&w, show);
    add_word(&w, "--json");
    if (teacher) add_word(&w, "--ask-teacher");
    code = run_step(&w, "retort eval", p->log, p->eval, err);
    /* The scores are there; the summary says that the teacher was not asked about all rows. */
    if (code == EXIT_CODE_BUDGET && err != NULL) *err = (rt_error){0};
    return code == EXIT_CODE_BUDGET ? EXIT_CODE_OK : code;
}

/* The page for people. A run is complete without it: what keeps it from being written is told. */
static void report(const launch_options *how, const places *p)
{
    words w = {.n = 0};
    rt_error why = {0};
    add_word(&w, "retort");
    add_word(&w, "report");
    add_config(&w, how, p->run_set);
    if (how->dataset != NULL) {
        add_word(&w, "--dataset");
        add_word(&w, how->dataset);
    }
    if (run_step(&w, "retort report", p->log, NULL, &why) != EXIT_CODE_OK)
        fprintf(stderr, "retort: no report: %s\n", why.text);
}

/* ---- the control: same labels, same budget, label only ---- */

#define CONTROL_SETS 10

typedef struct control_plan {
    char texts[CONTROL_SETS][4300];
    const char **sets; /* the user's, then ours, ended by NULL; owns the array only */
    size_t n_texts;
} control_plan;

static rt_status plan_control(const config *c, const launch_options *how, const char *run_dir,
                              control_plan *out, rt_error *err)
{
    size_t n_user = 0, n = 0;
    while (how->sets != NULL && how->sets[n_user] != NULL) n_user++;
    const char **sets = rt_calloc(n_user + CONTROL_SETS + 1, sizeof *sets);
    if (sets == NULL) return rt_fail(err, RT_NOMEM, "control settings");
    snprintf(out->texts[n++], sizeof *out->texts, "run_dir=%s/control", run_dir);
    snprintf(out->texts[n++], sizeof *out->texts, "tokenizer.model=%s/tokenizer.model", run_dir);
    snprintf(out->texts[n++], sizeof *out->texts, "train.preset=label-only");
    snprintf(out->texts[n++], sizeof *out->texts, "eval.answer_with=label");
    snprintf(out->texts[n++], sizeof *out->texts, "eval.control=none");
    snprintf(out->texts[n++], sizeof *out->texts, "eval.teacher=false");
    if (c->eval.control_steps > 0)
        snprintf(out->texts[n++], sizeof *out->texts, "train.steps=%llu",
                 (unsigned long long)c->eval.control_steps);
    for (size_t i = 0; i < n_user; i++) sets[i] = how->sets[i];
    for (size_t i = 0; i < n; i++) sets[n_user + i] = out->texts[i];
    out->sets = sets;
    out->n_texts = n;
    return RT_OK;
}

static exit_code run_control(const config *c, const launch_options *how, const char *run_dir,
                             rt_error *err)
{
    char dataset[4200];
    control_plan *plan = rt_calloc(1, sizeof *plan);
    config *control = NULL;
    places *p = rt_calloc(1, sizeof *p);
    exit_code code = EXIT_CODE_FAILED;
    rt_status st = plan == NULL || p == NULL ? rt_fail(err, RT_NOMEM, "control run")
                                             : plan_control(c, how, run_dir, plan, err);
    if (st == RT_OK) st = config_load(how->config_path, plan->sets, &control, err);
    if (st == RT_OK) st = find_places(control, p, err);
    if (st != RT_OK) {
        code = exit_code_of(st);
        goto out;
    }
    snprintf(dataset, sizeof dataset, "%s/dataset", how->dataset != NULL ? how->dataset : run_dir);
    if (how->dataset != NULL) snprintf(dataset, sizeof dataset, "%s", how->dataset);
    launch_options again = *how;
    again.stage = LAUNCH_TRAIN;
    again.dataset = dataset;
    again.sets = plan->sets;
    code = launch_run(control, &again, err);
    if (code == EXIT_CODE_OK) code = export_and_score(control, &again, p, false, err);
out:
    config_free(control);
    free(p);
    if (plan != NULL) free(plan->sets);
    free(plan);
    return code;
}

exit_code finish_run(const config *c, const launch_options *how, double started_s, rt_error *err)
{
    places *p = rt_calloc(1, sizeof *p);
    exit_code code = EXIT_CODE_OK;
    rt_status st = p == NULL ? rt_fail(err, RT_NOMEM, "run paths") : find_places(c, p, err);
    if (st != RT_OK) {
        free(p);
        return exit_code_of(st);
    }
    if (how->stage != LAUNCH_LABEL) {
        say(how, c->eval.files.n > 0 ? "scoring the student" : "exporting the student");
        code = export_and_score(c, how, p, c->eval.teacher && how->stage == LAUNCH_ALL, err);
        if (code == EXIT_CODE_OK && c->eval.control != CONTROL_NONE) {
            say(how, "training the label-only control on the same labels");
            code = run_control(c, how, p->run_dir, err);
        }
    }
    if (code == EXIT_CODE_OK) {
        st = summary_write(c, p->run_dir, rt_clock_mono_s() - started_s, err);
        if (st != RT_OK) code = exit_code_of(st);
    }
    if (code == EXIT_CODE_OK) report(how, p);
    free(p);
    return code;
}
