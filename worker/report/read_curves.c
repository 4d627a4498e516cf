/* The curves of a run: metrics.jsonl has the training step by step, history.jsonl the whole run over
 * time. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/line_check.h"
#include "common/dataset/task_text.h"
#include "worker/report/curve.h"
#include "worker/report/gather.h"

#define LINE_BYTES_MAX ((size_t)1 << 20)

typedef struct run_curves {
    curve losses[TASK_COUNT], loss;              /* of training steps */
    curve valid_loss, valid_exact;               /* by version */
    curve train_speed;                           /* over seconds of training */
    curve labelled, rejected, label_speed, cost; /* over the run's own seconds */
    uint64_t n_bad;
} run_curves;

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void take_step(run_curves *c, const json_t *line)
{
    double step = number_of(line, "step");
    const json_t *tasks = json_object_get(line, "tasks");
    for (int t = 0; t < TASK_COUNT; t++) {
        const json_t *task = json_object_get(tasks, student_task_name((student_task)t));
        double count = number_of(task, "count");
        if (count > 0) curve_add(&c->losses[t], step, number_of(task, "sum") / count);
    }
    curve_add(&c->loss, step, number_of(line, "loss"));
    curve_add(&c->train_speed, number_of(line, "seconds"), number_of(line, "tokens_per_s"));
}

static void take_evaluation(run_curves *c, const json_t *line)
{
    double version = number_of(line, "version");
    curve_add(&c->valid_loss, version, number_of(line, "loss"));
    curve_add(&c->valid_exact, version, number_of(line, "exact"));
}

static void take_point(run_curves *c, const json_t *line)
{
    double t_s = number_of(line, "t");
    curve_add(&c->labelled, t_s, number_of(line, "labelled"));
    curve_add(&c->rejected, t_s, number_of(line, "rejected"));
    curve_add(&c->label_speed, t_s, number_of(line, "labelled_per_s"));
    curve_add(&c->cost, t_s, number_of(line, "cost"));
}

/* The history repeats the evaluations that metrics.jsonl has. */
static void take_line(run_curves *c, const char *text, size_t n, bool is_history)
{
    json_t *line = NULL;
    if (n <= LINE_BYTES_MAX && line_check_verify(text, n, NULL) == RT_OK)
        line = json_loadb(text, n, 0, NULL);
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (!json_is_object(line))
        c->n_bad++;
    else if (kind != NULL && !is_history && strcmp(kind, "step") == 0)
        take_step(c, line);
    else if (kind != NULL && !is_history && strcmp(kind, "evaluation") == 0)
        take_evaluation(c, line);
    else if (kind != NULL && is_history && strcmp(kind, "point") == 0)
        take_point(c, line);
    json_decref(line);
}

/* False when there is no such file. A last line without its end is still being written. */
static bool read_lines(gathering *g, const char *name, run_curves *c, bool is_history)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t n_room = 0;
    ssize_t n;
    c->n_bad = 0;
    if (rt_fs_join(path, sizeof path, g->ask->run_dir, name, NULL) != RT_OK) return false;
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) return false;
    if (file == NULL) {
        gather_miss(g, "%s cannot be read: %s", name, strerror(errno));
        return true;
    }
    while ((n = getline(&text, &n_room, file)) > 0)
        if (text[n - 1] == '\n') take_line(c, text, (size_t)n - 1, is_history);
    if (ferror(file)) gather_miss(g, "%s could not be read to its end: %s", name, strerror(errno));
    if (c->n_bad > 0)
        gather_miss(g, "%s has %llu lines that are not as they were written; they were left out.",
                    name, (unsigned long long)c->n_bad);
    free(text);
    fclose(file);
    return true;
}

/* ---- to JSON ---- */

static json_t *column(const curve *c, double scale_x, char which)
{
    json_t *out = json_array();
    for (size_t i = 0; i < c->n; i++) {
        curve_point p = curve_at(c, i);
        double value = which == 'x'   ? p.x / scale_x
                       : which == 'y' ? p.y
                       : which == 'l' ? p.low
                                      : p.high;
        json_array_append_new(out, json_real(value));
    }
    return out;
}

static void add_line(json_t *lines, const char *name, const curve *c, double scale_x, bool marks)
{
    if (c->n == 0) return;
    json_t *line = json_pack("{s:s, s:b, s:o, s:o}", "name", name, "marks", marks, "x",
                             column(c, scale_x, 'x'), "y", column(c, scale_x, 'y'));
    if (c->width > 1) {
        json_object_set_new(line, "low", column(c, scale_x, 'l'));
        json_object_set_new(line, "high", column(c, scale_x, 'h'));
    }
    json_array_append_new(lines, line);
}

/* Takes the lines; a chart without one is left out. */
static void add_chart(json_t *charts, const char *title, const char *x, const char *y,
                      const char *kind, json_t *lines)
{
    if (json_array_size(lines) == 0)
        json_decref(lines);
    else
        json_array_append_new(charts, json_pack("{s:s, s:s, s:s, s:s, s:o}", "title", title, "x", x,
                                                "y", y, "kind", kind, "lines", lines));
}

typedef struct time_unit {
    double seconds;
    const char *name;
} time_unit;

/* So that numbers on the axis stay small. */
static time_unit unit_for(const curve *c)
{
    double last_s = c->n > 0 ? curve_at(c, c->n - 1).x : 0;
    if (last_s > 2 * 86400) return (time_unit){86400, "days"};
    if (last_s > 3 * 3600) return (time_unit){3600, "hours"};
    if (last_s > 180) return (time_unit){60, "minutes"};
    return (time_unit){1, "seconds"};
}

static void add_losses(const run_curves *c, json_t *charts)
{
    json_t *losses = json_array(), *exact = json_array();
    size_t n_tasks = 0;
    for (int t = 0; t < TASK_COUNT; t++) n_tasks += c->losses[t].n > 0;
    for (int t = 0; t < TASK_COUNT; t++)
        add_line(losses, student_task_name((student_task)t), &c->losses[t], 1, false);
    if (n_tasks == 0) add_line(losses, "all tasks", &c->loss, 1, false);
    add_line(losses, "validation", &c->valid_loss, 1, true);
    add_chart(charts, "Loss", "training step", "nats per token", "free", losses);
    add_line(exact, "right to the letter", &c->valid_exact, 1, true);
    add_chart(charts, "Validation", "training step", "labels of held-out rows", "share", exact);
}

/* Above 0 anywhere. */
static bool rises(const curve *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->buckets[i].high > 0) return true;
    return false;
}

static void add_speeds(const run_curves *c, json_t *charts)
{
    json_t *counts = json_array(), *labels = json_array(), *tokens = json_array();
    json_t *money = json_array();
    char x[48], x_train[48];
    time_unit run = unit_for(&c->labelled), train = unit_for(&c->train_speed);
    snprintf(x, sizeof x, "%s of the run", run.name);
    snprintf(x_train, sizeof x_train, "%s of training", train.name);
    add_line(tokens, "tokens per second", &c->train_speed, train.seconds, false);
    add_chart(charts, "Training speed", x_train, "tokens per second", "zero", tokens);
    if (rises(&c->label_speed))
        add_line(labels, "labels per second", &c->label_speed, run.seconds, false);
    add_chart(charts, "Labelling speed", x, "labels per second", "zero", labels);
    add_line(counts, "labelled", &c->labelled, run.seconds, false);
    if (rises(&c->rejected)) add_line(counts, "rejected", &c->rejected, run.seconds, false);
    add_chart(charts, "Labels", x, "examples", "zero", counts);
    if (rises(&c->cost)) add_line(money, "spent", &c->cost, run.seconds, false);
    add_chart(charts, "Cost", x, "money spent", "zero", money);
}

rt_status gather_curves(gathering *g, rt_error *err)
{
    json_t *charts = json_array();
    const char *stage = json_string_value(json_object_get(g->result, "stage"));
    bool trains = stage == NULL || strcmp(stage, "label") != 0;
    run_curves *c = rt_calloc(1, sizeof *c);
    if (c == NULL) {
        json_decref(charts);
        return rt_fail(err, RT_NOMEM, "curves of a run");
    }
    if (!read_lines(g, "metrics.jsonl", c, false) && trains)
        gather_miss(g, "There is no metrics.jsonl: curves of the training are not known.");
    if (!read_lines(g, "history.jsonl", c, true))
        gather_miss(g, "There is no history.jsonl: how labelling went over time is not known.");
    add_losses(c, charts);
    add_speeds(c, charts);
    json_object_set_new(g->data, "curves", charts);
    free(c);
    return RT_OK;
}
