#include "cli/doctor/report.h"

#include <stdlib.h>

#include "cli/command.h"

struct report {
    FILE *lines;
    bool colours;
    size_t n, n_left_out;
    finding worst_left_out;
    finding items[REPORT_FINDINGS_MAX];
};

rt_status report_new(FILE *lines, bool colours, report **out, rt_error *err)
{
    report *r = rt_calloc(1, sizeof *r);
    if (r == NULL) return rt_fail(err, RT_NOMEM, "report");
    r->lines = lines;
    r->colours = colours;
    *out = r;
    return RT_OK;
}

void report_free(report *r)
{
    free(r);
}

static void print_line(const report *r, const finding *f)
{
    rt_buf line = {0};
    if (r->lines == NULL) return;
    if (finding_line(f, r->colours, &line, NULL) == RT_OK) fputs(line.data, r->lines);
    fflush(r->lines);
    rt_buf_free(&line);
}

static void keep(report *r, const char *check, const finding *f)
{
    finding *kept = &r->items[r->n++];
    *kept = *f;
    snprintf(kept->check, sizeof kept->check, "%s", check);
    finding_clean(kept);
    print_line(r, kept);
}

void report_add(report *r, const char *check, finding f)
{
    /* The last place is for the count of those without one. */
    if (r->n + 1 < REPORT_FINDINGS_MAX) {
        keep(r, check, &f);
        return;
    }
    if (r->n_left_out++ == 0 || f.level > r->worst_left_out.level) r->worst_left_out = f;
}

void report_end(report *r)
{
    if (r->n_left_out == 0) return;
    finding f = r->worst_left_out;
    snprintf(f.found, sizeof f.found, "%zu more findings are left out, the worst: %.1000s",
             r->n_left_out, r->worst_left_out.found);
    finding_fix(&f, "repair what is listed, and look again");
    r->n_left_out = 0;
    keep(r, "doctor", &f);
}

size_t report_n(const report *r)
{
    return r->n;
}

const finding *report_at(const report *r, size_t i)
{
    RT_ASSERT(i < r->n);
    return &r->items[i];
}

size_t report_count(const report *r, finding_level level)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) n += r->items[i].level == level;
    return n;
}

rt_status report_sum(const report *r, rt_buf *out, rt_error *err)
{
    size_t n_warn = report_count(r, FINDING_WARN), n_fail = report_count(r, FINDING_FAIL);
    return rt_buf_printf(out, err, "%zu ok, %zu warning%s, %zu failure%s\n",
                         report_count(r, FINDING_OK), n_warn, n_warn == 1 ? "" : "s", n_fail,
                         n_fail == 1 ? "" : "s");
}

json_t *report_to_json(const report *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < r->n; i++)
        if (json_array_append_new(list, finding_to_json(&r->items[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

exit_code report_exit_code(const report *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].level == FINDING_FAIL) return exit_code_of(r->items[i].why);
    return EXIT_CODE_OK;
}
