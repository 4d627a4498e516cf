#include "coordinator/metrics_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void metrics_family(metrics_page *p, const char *name, const char *type, const char *help)
{
    if (p->st == RT_OK)
        p->st = rt_buf_printf(p->out, p->err, "# HELP retort_%s %s\n# TYPE retort_%s %s\n", name,
                              help, name, type);
}

/* A label's value with its three escapes. */
static void add_label(metrics_page *p, const metrics_label *label)
{
    if (p->st == RT_OK) p->st = rt_buf_printf(p->out, p->err, "%s=\"", label->key);
    for (const char *at = label->value; *at != '\0' && p->st == RT_OK; at++) {
        if (*at == '\n')
            p->st = rt_buf_add_text(p->out, "\\n", p->err);
        else if (*at == '"' || *at == '\\')
            p->st = rt_buf_printf(p->out, p->err, "\\%c", *at);
        else
            p->st = rt_buf_add(p->out, at, 1, p->err);
    }
    if (p->st == RT_OK) p->st = rt_buf_add_text(p->out, "\"", p->err);
}

void metrics_sample(metrics_page *p, const char *name, const metrics_label *labels, size_t n,
                    double value)
{
    if (p->st == RT_OK) p->st = rt_buf_printf(p->out, p->err, "retort_%s", name);
    for (size_t i = 0; i < n && p->st == RT_OK; i++) {
        p->st = rt_buf_add_text(p->out, i == 0 ? "{" : ",", p->err);
        add_label(p, &labels[i]);
    }
    if (n > 0 && p->st == RT_OK) p->st = rt_buf_add_text(p->out, "}", p->err);
    if (p->st != RT_OK) return;
    if (isnan(value))
        p->st = rt_buf_add_text(p->out, " NaN\n", p->err);
    else
        p->st = rt_buf_printf(p->out, p->err, " %.15g\n", value);
}

void metrics_labelled(metrics_page *p, const char *name, const char *key, const char *label,
                      double value)
{
    metrics_sample(p, name, &(metrics_label){key, label}, 1, value);
}

void metrics_one(metrics_page *p, const char *name, const char *type, const char *help,
                 double value)
{
    metrics_family(p, name, type, help);
    metrics_sample(p, name, NULL, 0, value);
}

void metrics_durations(metrics_page *p, const char *name, const char *help, const time_histogram *h)
{
    char part[96], bound[32];
    uint64_t n = 0;
    metrics_family(p, name, "histogram", help);
    snprintf(part, sizeof part, "%s_bucket", name);
    for (size_t i = 0; i < TIME_BUCKETS; i++) {
        n += h->buckets[i];
        if (i + 1 < TIME_BUCKETS)
            snprintf(bound, sizeof bound, "%.6g", time_histogram_bound(i));
        else
            snprintf(bound, sizeof bound, "+Inf");
        metrics_labelled(p, part, "le", bound, (double)n);
    }
    snprintf(part, sizeof part, "%s_sum", name);
    metrics_sample(p, part, NULL, 0, h->sum);
    snprintf(part, sizeof part, "%s_count", name);
    metrics_sample(p, part, NULL, 0, (double)n);
}
