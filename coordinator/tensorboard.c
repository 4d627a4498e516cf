#include "coordinator/tensorboard.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/stats/event_file.h"

#define SCALARS_MAX (8 + TASK_COUNT)
#define TAG_SIZE    48

struct tensorboard {
    event_file *file;
    bool has_failed; /* and a warning says so */
};

typedef struct scalars {
    event_scalar items[SCALARS_MAX];
    char tags[SCALARS_MAX][TAG_SIZE];
    size_t n;
} scalars;

rt_status tensorboard_open(const char *folder, tensorboard **out, rt_error *err)
{
    tensorboard *t = rt_calloc(1, sizeof *t);
    rt_status st =
        t == NULL ? rt_fail(err, RT_NOMEM, "%s", folder) : event_file_new(folder, &t->file, err);
    if (st != RT_OK) {
        free(t);
        return st;
    }
    *out = t;
    return RT_OK;
}

void tensorboard_close(tensorboard *t)
{
    if (t == NULL) return;
    event_file_free(t->file);
    free(t);
}

static void put(scalars *all, const char *group, const char *name, double value)
{
    snprintf(all->tags[all->n], TAG_SIZE, "%s/%s", group, name);
    all->items[all->n] = (event_scalar){all->tags[all->n], value};
    all->n++;
}

/* Nats per token of each task that counts for something. */
static void put_tasks(scalars *all, const char *group, const wire_sums *sums)
{
    char name[TAG_SIZE / 2];
    for (int t = 0; t < TASK_COUNT; t++) {
        if (sums->count[t] <= 0) continue;
        snprintf(name, sizeof name, "loss/%s", student_task_name((student_task)t));
        put(all, group, name, sums->loss[t] / sums->count[t]);
    }
}

static void write_out(tensorboard *t, uint64_t step, const scalars *all)
{
    rt_error why = {0};
    double now_s = (double)rt_clock_wall_ms() / 1000;
    rt_status st = event_file_add(t->file, step, now_s, all->items, all->n, &why);
    if (st != RT_OK && !t->has_failed) rt_log_warn("tensorboard.write", "%s", why.text);
    t->has_failed = st != RT_OK;
}

void tensorboard_step(tensorboard *t, const metrics_step *step)
{
    scalars all = {0};
    if (t == NULL) return;
    put(&all, "train", "loss", step->loss);
    put_tasks(&all, "train", &step->sums);
    put(&all, "train", "grad_norm", step->grad_norm);
    put(&all, "train", "tokens_per_s", step->tokens_per_s);
    put(&all, "train", "epoch", (double)step->epoch);
    write_out(t, step->step, &all);
}

void tensorboard_evaluation(tensorboard *t, const eval_score *score)
{
    scalars all = {0};
    if (t == NULL) return;
    put(&all, "validation", "loss", score->loss);
    put_tasks(&all, "validation", &score->sums);
    put(&all, "validation", "exact", score->exact);
    write_out(t, score->version, &all);
}
