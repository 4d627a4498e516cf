#include "common/stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stats/stats_parts.h"

#define PREFIX "retort_"

static void lock(const stats *s)
{
    RT_ASSERT(pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&s->mutex) == 0);
}

static void unlock(const stats *s)
{
    RT_ASSERT(pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&s->mutex) == 0);
}

rt_status stats_new(stats **out, rt_error *err)
{
    stats *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "stats");
    if (pthread_mutex_init(&s->mutex, NULL) != 0) {
        free(s);
        return rt_fail(err, RT_NOMEM, "stats: mutex");
    }
    *out = s;
    return RT_OK;
}

static void metric_free(stats_metric *m)
{
    if (m == NULL) return;
    for (size_t i = 0; i < STATS_LABELS_MAX; i++) {
        free(m->label_names[i]);
        free(m->label_values[i]);
    }
    free(m->name);
    free(m->help);
    free(m);
}

void stats_free(stats *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->n_metrics; i++) metric_free(s->metrics[i]);
    free(s->metrics);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

int stats_compare(const stats_metric *a, const stats_metric *b)
{
    int k = strcmp(a->name, b->name);
    for (size_t i = 0; k == 0 && i < a->n_labels && i < b->n_labels; i++) {
        k = strcmp(a->label_names[i], b->label_names[i]);
        if (k == 0) k = strcmp(a->label_values[i], b->label_values[i]);
    }
    if (k != 0) return k;
    return a->n_labels < b->n_labels ? -1 : a->n_labels > b->n_labels;
}

/* [a-z][a-z0-9_]*, the part of Prometheus' rule that all languages share. */
static bool is_name(const char *text)
{
    if (text[0] < 'a' || text[0] > 'z') return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), k = strlen(ending);
    return n > k && strcmp(text + n - k, ending) == 0;
}

static rt_status check_names(stats_kind kind, const char *name, const stats_label *labels,
                             size_t n_labels, rt_error *err)
{
    if (!is_name(name))
        return rt_fail(err, RT_INVALID, "metric '%s': expected a-z, 0-9 and _", name);
    if ((kind == STATS_COUNTER) != ends_with(name, "_total"))
        return rt_fail(err, RT_INVALID, "metric %s: counters, and only they, end in _total", name);
    if (n_labels > STATS_LABELS_MAX)
        return rt_fail(err, RT_INVALID, "metric %s: %zu labels, at most %d", name, n_labels,
                       STATS_LABELS_MAX);
    for (size_t i = 0; i < n_labels; i++)
        if (!is_name(labels[i].name) || strcmp(labels[i].name, "le") == 0)
            return rt_fail(err, RT_INVALID, "metric %s: label '%s'", name, labels[i].name);
    return RT_OK;
}

static rt_status metric_new(stats *s, const stats_metric *like, const char *name, const char *help,
                            const stats_label *labels, size_t n_labels, stats_metric **out,
                            rt_error *err)
{
    stats_metric *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "metric %s", name);
    *m = *like;
    m->owner = s;
    m->n_labels = n_labels;
    bool good = asprintf(&m->name, PREFIX "%s", name) >= 0;
    if (!good) m->name = NULL;
    m->help = rt_strndup(help, strlen(help));
    good = good && m->help != NULL;
    for (size_t i = 0; i < n_labels; i++) {
        m->label_names[i] = rt_strndup(labels[i].name, strlen(labels[i].name));
        m->label_values[i] = rt_strndup(labels[i].value, strlen(labels[i].value));
        good = good && m->label_names[i] != NULL && m->label_values[i] != NULL;
    }
    if (!good) {
        metric_free(m);
        return rt_fail(err, RT_NOMEM, "metric %s", name);
    }
    *out = m;
    return RT_OK;
}

/* Place of m, or where it would go. */
static size_t find_place(const stats *s, const stats_metric *m, bool *found)
{
    size_t low = 0, high = s->n_metrics;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stats_compare(s->metrics[middle], m) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < s->n_metrics && stats_compare(s->metrics[low], m) == 0;
    return low;
}

/* Of the same name, of whatever labels. */
static bool kind_agrees(const stats *s, size_t place, const stats_metric *m)
{
    for (size_t i = place > 0 ? place - 1 : 0; i < s->n_metrics && i <= place; i++) {
        const stats_metric *other = s->metrics[i];
        if (strcmp(other->name, m->name) != 0) continue;
        if (other->kind != m->kind || other->n_buckets != m->n_buckets) return false;
        if (m->kind == STATS_HISTOGRAM && other->first != m->first) return false;
    }
    return true;
}

/* With the mutex held: the metric like *m that is there, or *m itself, which is then taken. */
static rt_status insert(stats *s, stats_metric **m, stats_metric **out, rt_error *err)
{
    bool found;
    size_t place = find_place(s, *m, &found);
    if (!kind_agrees(s, place, *m))
        return rt_fail(err, RT_INVALID, "metric %s exists with another kind or buckets",
                       (*m)->name);
    if (found) {
        *out = s->metrics[place];
        return RT_OK;
    }
    if (s->n_metrics == STATS_METRICS_MAX)
        return rt_fail(err, RT_FULL, "metric %s: there are %d already", (*m)->name,
                       STATS_METRICS_MAX);
    stats_metric **metrics = realloc(s->metrics, (s->n_metrics + 1) * sizeof *metrics);
    if (metrics == NULL) return rt_fail(err, RT_NOMEM, "metric %s", (*m)->name);
    memmove(metrics + place + 1, metrics + place, (s->n_metrics - place) * sizeof *metrics);
    metrics[place] = *m;
    s->metrics = metrics;
    s->n_metrics++;
    *out = *m;
    *m = NULL;
    return RT_OK;
}

static rt_status get(stats *s, const stats_metric *like, const char *name, const char *help,
                     const stats_label *labels, size_t n_labels, stats_metric **out, rt_error *err)
{
    stats_metric *m = NULL;
    rt_status st = check_names(like->kind, name, labels, n_labels, err);
    if (st != RT_OK) return st;
    if ((st = metric_new(s, like, name, help, labels, n_labels, &m, err)) != RT_OK) return st;
    lock(s);
    st = insert(s, &m, out, err);
    unlock(s);
    metric_free(m);
    return st;
}

rt_status stats_counter(stats *s, const char *name, const char *help, const stats_label *labels,
                        size_t n_labels, stats_metric **out, rt_error *err)
{
    stats_metric like = {.kind = STATS_COUNTER};
    return get(s, &like, name, help, labels, n_labels, out, err);
}

rt_status stats_gauge(stats *s, const char *name, const char *help, const stats_label *labels,
                      size_t n_labels, stats_metric **out, rt_error *err)
{
    stats_metric like = {.kind = STATS_GAUGE};
    return get(s, &like, name, help, labels, n_labels, out, err);
}

rt_status stats_histogram(stats *s, const char *name, const char *help, const stats_label *labels,
                          size_t n_labels, double first, size_t n_buckets, stats_metric **out,
                          rt_error *err)
{
    stats_metric like = {.kind = STATS_HISTOGRAM, .first = first, .n_buckets = n_buckets};
    if (!(first > 0) || !isfinite(first) || n_buckets == 0 || n_buckets > STATS_BUCKETS_MAX)
        return rt_fail(err, RT_INVALID, "metric %s: %zu buckets from %g: expected 1 to %d from > 0",
                       name, n_buckets, first, STATS_BUCKETS_MAX);
    return get(s, &like, name, help, labels, n_labels, out, err);
}

void stats_add(stats_metric *m, double amount)
{
    if (!isfinite(amount) || m->kind == STATS_HISTOGRAM) return;
    if (m->kind == STATS_COUNTER && amount < 0) return;
    lock(m->owner);
    m->value += amount;
    unlock(m->owner);
}

void stats_set(stats_metric *m, double value)
{
    if (m->kind == STATS_HISTOGRAM || isnan(value)) return;
    lock(m->owner);
    if (m->kind == STATS_GAUGE || value > m->value) m->value = value;
    unlock(m->owner);
}

void stats_observe(stats_metric *m, double value)
{
    if (m->kind != STATS_HISTOGRAM || !isfinite(value)) return;
    size_t i = 0;
    for (double bound = m->first; i < m->n_buckets && value > bound; bound *= 2) i++;
    lock(m->owner);
    m->buckets[i]++;
    m->n++;
    m->value += value;
    unlock(m->owner);
}

double stats_value(const stats_metric *m)
{
    lock(m->owner);
    double value = m->value;
    unlock(m->owner);
    return value;
}

uint64_t stats_count(const stats_metric *m)
{
    lock(m->owner);
    uint64_t n = m->n;
    unlock(m->owner);
    return n;
}
