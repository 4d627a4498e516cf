#include "cli/dry_evaluation.h"

#include "worker/evaluate/gold_rows.h"

#define SAMPLE_MAX 2000

/* The true answer of such a row is for the score: the teacher never gets it. */
static rt_status open_teacher(const config *c, config *own, dry_teacher *out, rt_error *err)
{
    static char none[] = "";
    *own = *c;
    own->prompt.label_given = none;
    return dry_teacher_open(own, out, err);
}

static rt_status count_prompt(dry_teacher *t, const char *input, rt_error *err)
{
    rt_buf prompt = {0};
    uint64_t n_tokens = 0;
    rt_status st =
        t->config == NULL ? RT_OK : dry_teacher_prompt(t, input, true, &prompt, &n_tokens, err);
    rt_buf_free(&prompt);
    return st;
}

rt_status dry_evaluation_open(const config *c, const config *second, dry_evaluation *out,
                              rt_error *err)
{
    gold_rows rows = {0};
    dry_evaluation *e = out; /* teachers point into it */
    rt_status st = open_teacher(c, &e->first_config, &e->first, err);
    if (st == RT_OK && second != NULL)
        st = open_teacher(second, &e->second_config, &e->second, err);
    if (st == RT_OK) st = gold_rows_read(c, NULL, c->eval.rows_max, &rows, err);
    e->n_rows = rows.n;
    for (size_t i = 0, every = rows.n / SAMPLE_MAX + 1; st == RT_OK && i < rows.n; i += every) {
        st = count_prompt(&e->first, rows.rows[i].input, err);
        if (st == RT_OK) st = count_prompt(&e->second, rows.rows[i].input, err);
    }
    gold_rows_free(&rows);
    if (st != RT_OK) dry_evaluation_close(e);
    return st;
}

void dry_evaluation_close(dry_evaluation *e)
{
    dry_teacher_close(&e->first);
    dry_teacher_close(&e->second);
    *e = (dry_evaluation){0};
}

projection dry_evaluation_project(const dry_evaluation *e, double share)
{
    if (e->first.config == NULL) return (projection){0};
    projection first = dry_teacher_project(&e->first, e->n_rows);
    if (e->second.config == NULL) return first;
    projection second = dry_teacher_project(&e->second, projection_rows(e->n_rows, share));
    return projection_sum(&first, &second);
}
