/* Stats as text. The whole is written under the mutex, so a snapshot is of one moment. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stats/stats_parts.h"

/* Shortest form that reads back as the same number; integers without a fraction. */
static rt_status add_number(rt_buf *out, double value, rt_error *err)
{
    char text[40];
    if (isinf(value)) return rt_buf_add_text(out, value > 0 ? "+Inf" : "-Inf", err);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return rt_buf_add_text(out, text, err);
}

/* Backslash, newline and (in label values) quote, as the format wants. */
static rt_status add_escaped(rt_buf *out, const char *text, bool quotes, rt_error *err)
{
    rt_status st = RT_OK;
    for (const char *p = text; st == RT_OK && *p != '\0'; p++) {
        if (*p == '\\')
            st = rt_buf_add_text(out, "\\\\", err);
        else if (*p == '\n')
            st = rt_buf_add_text(out, "\\n", err);
        else if (*p == '"' && quotes)
            st = rt_buf_add_text(out, "\\\"", err);
        else
            st = rt_buf_add(out, p, 1, err);
    }
    return st;
}

/* name<suffix>{labels,le="..."} value */
static rt_status add_sample(rt_buf *out, const stats_metric *m, const char *suffix,
                            const double *bound, double value, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "%s%s", m->name, suffix);
    const char *before = "{";
    for (size_t i = 0; st == RT_OK && i < m->n_labels; i++) {
        st = rt_buf_printf(out, err, "%s%s=\"", before, m->label_names[i]);
        if (st == RT_OK) st = add_escaped(out, m->label_values[i], true, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\"", err);
        before = ",";
    }
    if (st == RT_OK && bound != NULL) {
        st = rt_buf_printf(out, err, "%sle=\"", before);
        if (st == RT_OK) st = add_number(out, *bound, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\"", err);
        before = ",";
    }
    if (st == RT_OK) st = rt_buf_add_text(out, before[0] == ',' ? "} " : " ", err);
    if (st == RT_OK) st = add_number(out, value, err);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static rt_status add_histogram(rt_buf *out, const stats_metric *m, rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t n = 0;
    double bound = m->first;
    for (size_t i = 0; st == RT_OK && i <= m->n_buckets; i++, bound *= 2) {
        double le = i < m->n_buckets ? bound : INFINITY;
        n += m->buckets[i];
        st = add_sample(out, m, "_bucket", &le, (double)n, err);
    }
    if (st == RT_OK) st = add_sample(out, m, "_sum", NULL, m->value, err);
    return st == RT_OK ? add_sample(out, m, "_count", NULL, (double)m->n, err) : st;
}

static rt_status add_family_head(rt_buf *out, const stats_metric *m, rt_error *err)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    rt_status st = rt_buf_printf(out, err, "# HELP %s ", m->name);
    if (st == RT_OK) st = add_escaped(out, m->help, false, err);
    if (st != RT_OK) return st;
    return rt_buf_printf(out, err, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
}

static rt_status add_all(const stats *s, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < s->n_metrics; i++) {
        const stats_metric *m = s->metrics[i];
        if (i == 0 || strcmp(s->metrics[i - 1]->name, m->name) != 0)
            st = add_family_head(out, m, err);
        if (st != RT_OK) break;
        st = m->kind == STATS_HISTOGRAM ? add_histogram(out, m, err)
                                        : add_sample(out, m, "", NULL, m->value, err);
    }
    return st;
}

rt_status stats_to_prometheus(const stats *s, rt_buf *out, rt_error *err)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&s->mutex;
    RT_ASSERT(pthread_mutex_lock(mutex) == 0);
    rt_status st = add_all(s, out, err);
    RT_ASSERT(pthread_mutex_unlock(mutex) == 0);
    return st;
}

/* JSON knows no infinity. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *metric_to_json(const stats_metric *m)
{
    json_t *labels = json_object(), *object = json_object();
    for (size_t i = 0; i < m->n_labels; i++) {
        json_t *value = json_string(m->label_values[i]);
        /* A value that is not UTF-8 is still a series: show it, without its bytes. */
        json_object_set_new(labels, m->label_names[i],
                            value != NULL ? value : json_string("(not UTF-8)"));
    }
    json_object_set_new(object, "labels", labels);
    if (m->kind != STATS_HISTOGRAM) {
        json_object_set_new(object, "value", number(m->value));
        return object;
    }
    json_t *buckets = json_array();
    double bound = m->first;
    for (size_t i = 0; i <= m->n_buckets; i++, bound *= 2) {
        json_t *bucket = json_array();
        json_array_append_new(bucket, number(i < m->n_buckets ? bound : INFINITY));
        json_array_append_new(bucket, json_integer((json_int_t)m->buckets[i]));
        json_array_append_new(buckets, bucket);
    }
    json_object_set_new(object, "count", json_integer((json_int_t)m->n));
    json_object_set_new(object, "sum", number(m->value));
    json_object_set_new(object, "buckets", buckets);
    return object;
}

rt_status stats_to_json(const stats *s, rt_buf *out, rt_error *err)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&s->mutex;
    json_t *all = json_object();
    RT_ASSERT(pthread_mutex_lock(mutex) == 0);
    for (size_t i = 0; i < s->n_metrics; i++) {
        const stats_metric *m = s->metrics[i];
        json_t *family = json_object_get(all, m->name);
        if (family == NULL) {
            family = json_array();
            json_object_set_new(all, m->name, family);
        }
        json_array_append_new(family, metric_to_json(m));
    }
    RT_ASSERT(pthread_mutex_unlock(mutex) == 0);
    char *text = all == NULL ? NULL : json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(all);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "stats as JSON");
    rt_status st = rt_buf_add_text(out, text, err);
    free(text);
    return st;
}
