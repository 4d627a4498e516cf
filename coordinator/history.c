#include "coordinator/history.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void history_start(history *h)
{
    *h = (history){.interval_s = HISTORY_INTERVAL_S};
}

double history_t_s(const history *h)
{
    return h->n == 0 ? 0 : h->points[h->n - 1].t_s;
}

bool history_is_due(const history *h, double t_s)
{
    return h->n == 0 || t_s - history_t_s(h) >= h->interval_s;
}

/* As numbered already. */
static void keep_point(history *h, const history_point *p)
{
    if (h->n == HISTORY_POINTS_MAX) {
        for (size_t i = 0; 2 * i < h->n; i++) h->points[i] = h->points[2 * i];
        h->n /= 2;
        h->interval_s *= 2;
    }
    h->points[h->n++] = *p;
    h->seq = p->seq;
}

static void keep_evaluation(history *h, const history_evaluation *e)
{
    if (h->n_evaluations == HISTORY_EVALUATIONS_MAX) {
        for (size_t i = 0; 2 * i < h->n_evaluations; i++) h->evaluations[i] = h->evaluations[2 * i];
        h->n_evaluations /= 2;
    }
    h->evaluations[h->n_evaluations++] = *e;
    h->seq = e->seq;
}

void history_add(history *h, history_point *p)
{
    p->seq = h->seq + 1;
    keep_point(h, p);
}

static bool has_version(const history *h, uint64_t version)
{
    for (size_t i = 0; i < h->n_evaluations; i++)
        if (h->evaluations[i].version == version) return true;
    return false;
}

bool history_add_evaluation(history *h, history_evaluation *e)
{
    if (has_version(h, e->version)) return false;
    e->seq = h->seq + 1;
    keep_evaluation(h, e);
    return true;
}

/* ---- JSON ---- */

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *losses_to_json(const double *losses)
{
    json_t *top = json_object();
    for (int t = 0; t < TASK_COUNT; t++)
        if (isfinite(losses[t]))
            json_object_set_new(top, student_task_name((student_task)t), json_real(losses[t]));
    return top;
}

static json_t *point_to_json(const history_point *p)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, "
        "s:o}}",
        "seq", count(p->seq), "time", number(p->time_s), "t", number(p->t_s), "labelled",
        count(p->n_labelled), "rejected", count(p->n_rejected), "labelled_per_s",
        number(p->labelled_per_s), "step", count(p->step), "loss", number(p->loss), "losses",
        losses_to_json(p->losses), "tokens_per_s", number(p->tokens_per_s), "mflops_per_s",
        number(p->mflops_per_s), "grad_norm", number(p->grad_norm), "labels_queue",
        count(p->n_labels_queue), "batches_queue", count(p->n_batches_queue), "cost",
        number(p->cost), "alive", "teacher", count(p->n_teachers), "student", count(p->n_students),
        "server", count(p->n_servers));
}

static json_t *evaluation_to_json(const history_evaluation *e)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "seq", count(e->seq), "version",
                     count(e->version), "time", number(e->time_s), "loss", number(e->loss), "exact",
                     number(e->exact), "losses", losses_to_json(e->losses));
}

/* Takes the object. With a kind: as a line of the file. */
static rt_status add_json(json_t *top, const char *kind, rt_buf *out, rt_error *err)
{
    char *text = top == NULL ? NULL : json_dumps(top, JSON_COMPACT | JSON_REAL_PRECISION(14));
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "history")
                   : kind == NULL
                       ? rt_buf_add_text(out, text, err)
                       : rt_buf_printf(out, err, "{\"kind\":\"%s\",%s\n", kind, text + 1);
    free(text);
    json_decref(top);
    return st;
}

rt_status history_point_to_json(const history_point *p, rt_buf *out, rt_error *err)
{
    return add_json(point_to_json(p), NULL, out, err);
}

rt_status history_evaluation_to_json(const history_evaluation *e, rt_buf *out, rt_error *err)
{
    return add_json(evaluation_to_json(e), NULL, out, err);
}

rt_status history_point_line(const history_point *p, rt_buf *out, rt_error *err)
{
    return add_json(point_to_json(p), "point", out, err);
}

rt_status history_evaluation_line(const history_evaluation *e, rt_buf *out, rt_error *err)
{
    return add_json(evaluation_to_json(e), "evaluation", out, err);
}

rt_status history_to_json(const history *h, uint64_t since, rt_buf *out, rt_error *err)
{
    bool first = true;
    if (since > h->seq) since = 0;
    rt_status st =
        rt_buf_printf(out, err, "{\"seq\":%llu,\"points\":[", (unsigned long long)h->seq);
    for (size_t i = 0; st == RT_OK && i < h->n; i++) {
        if (h->points[i].seq <= since) continue;
        if (!first) st = rt_buf_add_text(out, ",", err);
        first = false;
        if (st == RT_OK) st = history_point_to_json(&h->points[i], out, err);
    }
    if (st == RT_OK) st = rt_buf_add_text(out, "],\"evaluations\":[", err);
    first = true;
    for (size_t i = 0; st == RT_OK && i < h->n_evaluations; i++) {
        if (h->evaluations[i].seq <= since) continue;
        if (!first) st = rt_buf_add_text(out, ",", err);
        first = false;
        if (st == RT_OK) st = history_evaluation_to_json(&h->evaluations[i], out, err);
    }
    return st == RT_OK ? rt_buf_add_text(out, "]}\n", err) : st;
}

/* ---- the file ---- */

rt_status history_to_lines(const history *h, rt_buf *out, rt_error *err)
{
    size_t i = 0, k = 0;
    rt_status st =
        rt_buf_printf(out, err, "{\"kind\":\"history\",\"interval_s\":%.14g}\n", h->interval_s);
    while (st == RT_OK && (i < h->n || k < h->n_evaluations)) {
        bool is_point =
            k == h->n_evaluations || (i < h->n && h->points[i].seq < h->evaluations[k].seq);
        st = is_point ? history_point_line(&h->points[i++], out, err)
                      : history_evaluation_line(&h->evaluations[k++], out, err);
    }
    return st;
}

static double get_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t get_count(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n < 0 ? 0 : (uint64_t)n;
}

static void get_losses(const json_t *object, double *out)
{
    const json_t *losses = json_object_get(object, "losses");
    for (int t = 0; t < TASK_COUNT; t++)
        out[t] = get_number(losses, student_task_name((student_task)t));
}

static bool take_point(history *h, const json_t *top)
{
    const json_t *alive = json_object_get(top, "alive");
    history_point p = {.seq = get_count(top, "seq"),
                       .time_s = get_number(top, "time"),
                       .t_s = get_number(top, "t"),
                       .n_labelled = get_count(top, "labelled"),
                       .n_rejected = get_count(top, "rejected"),
                       .labelled_per_s = get_number(top, "labelled_per_s"),
                       .step = get_count(top, "step"),
                       .loss = get_number(top, "loss"),
                       .tokens_per_s = get_number(top, "tokens_per_s"),
                       .mflops_per_s = get_number(top, "mflops_per_s"),
                       .grad_norm = get_number(top, "grad_norm"),
                       .n_labels_queue = get_count(top, "labels_queue"),
                       .n_batches_queue = get_count(top, "batches_queue"),
                       .cost = get_number(top, "cost"),
                       .n_teachers = get_count(alive, "teacher"),
                       .n_students = get_count(alive, "student"),
                       .n_servers = get_count(alive, "server")};
    get_losses(top, p.losses);
    if (p.seq <= h->seq || !isfinite(p.time_s) || !(p.t_s >= history_t_s(h))) return false;
    keep_point(h, &p);
    return true;
}

static bool take_evaluation(history *h, const json_t *top)
{
    history_evaluation e = {.seq = get_count(top, "seq"),
                            .version = get_count(top, "version"),
                            .time_s = get_number(top, "time"),
                            .loss = get_number(top, "loss"),
                            .exact = get_number(top, "exact")};
    get_losses(top, e.losses);
    if (e.seq <= h->seq || has_version(h, e.version)) return false;
    keep_evaluation(h, &e);
    return true;
}

bool history_take_line(history *h, const char *text, size_t n)
{
    json_t *top = json_loadb(text, n, 0, NULL);
    const char *kind = json_string_value(json_object_get(top, "kind"));
    bool taken = false;
    if (kind == NULL) {
        taken = false;
    } else if (strcmp(kind, "point") == 0) {
        taken = take_point(h, top);
    } else if (strcmp(kind, "evaluation") == 0) {
        taken = take_evaluation(h, top);
    } else if (strcmp(kind, "history") == 0) {
        double interval_s = get_number(top, "interval_s");
        taken = interval_s >= HISTORY_INTERVAL_S && isfinite(interval_s);
        if (taken) h->interval_s = interval_s;
    }
    json_decref(top);
    return taken;
}
