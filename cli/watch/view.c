#include "cli/watch/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "cli/watch/view_parts.h"
#include "common/text/utf8.h"

#define HEAD_GAP 2

bool view_has_picture(const watch_data *d)
{
    return d->run[0] != '\0';
}

/* ---- lines of the top ---- */

static view_rows one_row(const watch_data *d, const view_screen *screen)
{
    (void)d;
    (void)screen;
    return (view_rows){1, 1};
}

static void link_text(const view_screen *screen, char *out, size_t n_out, pen_style *style)
{
    char silent[16];
    progress_duration(screen->silent_s, silent);
    *style = PEN_WARN;
    switch (screen->link) {
    case VIEW_WAITING: snprintf(out, n_out, "waiting"); return;
    case VIEW_LOST: snprintf(out, n_out, "no answer for %s", silent); return;
    case VIEW_ENDED: snprintf(out, n_out, "ended"); return;
    case VIEW_LIVE: break;
    }
    *style = PEN_GOOD;
    snprintf(out, n_out, "live");
}

/* "retort svamp  labelling, training  up 12:05                 live" */
static void draw_head(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    char right[64], up[16];
    pen_style style;
    (void)n_rows;
    link_text(screen, right, sizeof right, &style);
    size_t n_right = utf8_columns(right, strlen(right)), width = p->width;
    bool fits = width >= n_right + 16;
    if (fits) p->width = width - n_right - HEAD_GAP; /* the left side must leave room */
    pen_text(p, PEN_BOLD, "retort");
    if (view_has_picture(d)) {
        progress_duration(d->uptime_s, up);
        pen_printf(p, PEN_BOLD, " %s", d->run);
        pen_printf(p, PEN_PLAIN, "  %s", d->now.stage);
        pen_printf(p, PEN_DIM, "  up %s  %s", up, d->version);
    }
    p->width = width;
    if (fits)
        pen_to(p, width - n_right);
    else
        pen_text(p, PEN_PLAIN, " ");
    pen_text(p, style, right);
    pen_end_line(p);
}

static const char *problem_of(const watch_data *d, const view_screen *screen)
{
    return screen->trouble[0] != '\0' ? screen->trouble : d->now.problem;
}

static view_rows problem_rows(const watch_data *d, const view_screen *screen)
{
    unsigned n = problem_of(d, screen)[0] != '\0' ? 1 : 0;
    return (view_rows){n, n};
}

static void draw_problem(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)n_rows;
    pen_text(p, PEN_BAD, "! ");
    pen_text(p, PEN_BAD, problem_of(d, screen));
    pen_end_line(p);
}

/* ---- progress ---- */

/* The launcher's line, its bar in colour. */
static void draw_progress_line(const char *line, pen *p)
{
    const char *full = "█", *empty = "░";
    char part[512];
    while (*line != '\0') {
        const char *bar = strstr(line, full), *rest = strstr(line, empty);
        size_t n_plain = bar != NULL && (rest == NULL || bar < rest) ? (size_t)(bar - line)
                         : rest != NULL                              ? (size_t)(rest - line)
                                                                     : strlen(line);
        pen_style style = PEN_PLAIN;
        size_t n = n_plain;
        if (n_plain == 0) {
            const char *glyph = bar == line ? full : empty;
            style = bar == line ? PEN_GOOD : PEN_DIM;
            while (strncmp(line + n, glyph, strlen(glyph)) == 0) n += strlen(glyph);
        }
        n = RT_MIN(n, sizeof part - 1);
        memcpy(part, line, n);
        part[n] = '\0';
        pen_text(p, style, part);
        line += n;
    }
    pen_end_line(p);
}

typedef rt_status (*line_maker)(const run_stats *s, unsigned columns, rt_buf *out, rt_error *err);

static void draw_made(const watch_data *d, line_maker make, pen *p)
{
    rt_buf line = {0};
    if (p->status == RT_OK) p->status = make(&d->now, (unsigned)p->width, &line, p->err);
    if (p->status == RT_OK) draw_progress_line(line.data, p);
    rt_buf_free(&line);
}

static view_rows label_rows(const watch_data *d, const view_screen *screen)
{
    (void)screen;
    unsigned n = view_has_picture(d) && d->now.labels ? 1 : 0;
    return (view_rows){n, n};
}

static void draw_label(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)screen;
    (void)n_rows;
    draw_made(d, progress_label_line, p);
}

static view_rows train_rows(const watch_data *d, const view_screen *screen)
{
    (void)screen;
    unsigned n = view_has_picture(d) && d->now.trains ? 1 : 0;
    return (view_rows){n, n};
}

static void draw_train(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)screen;
    (void)n_rows;
    draw_made(d, progress_train_line, p);
}

/* ---- where time goes ---- */

static view_rows time_rows(const watch_data *d, const view_screen *screen)
{
    (void)screen;
    unsigned n = view_has_picture(d) && d->now.trains && isfinite(d->now.compute_share) ? 1 : 0;
    return (view_rows){n, n};
}

static rt_status student_line(const run_stats *s, unsigned columns, rt_buf *out, rt_error *err)
{
    (void)columns;
    rt_status st = progress_student_line(s, out, err);
    if (st == RT_OK && out->n > 0 && out->data[out->n - 1] == '\n') out->data[--out->n] = '\0';
    return st;
}

static void draw_time(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)screen;
    (void)n_rows;
    draw_made(d, student_line, p);
}

static view_rows starved_rows(const watch_data *d, const view_screen *screen)
{
    unsigned n = screen->link == VIEW_LIVE && d->starved[0] != '\0' ? 1 : 0;
    return (view_rows){n, n};
}

static void draw_starved(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)screen;
    (void)n_rows;
    pen_text(p, PEN_WARN, d->starved);
    pen_end_line(p);
}

/* ---- the last line ---- */

static void draw_foot(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    (void)d;
    (void)n_rows;
    pen_text(p, PEN_DIM,
             screen->link == VIEW_ENDED ? "q leaves; the report is in the run's folder"
                                        : "q leaves; the run goes on");
    pen_end_line(p);
}

/* In the order in which they stand. */
static const view_part head = {one_row, draw_head, 0, false};
static const view_part problem = {problem_rows, draw_problem, 1, false};
static const view_part label = {label_rows, draw_label, 2, false};
static const view_part train = {train_rows, draw_train, 3, false};
static const view_part starved = {starved_rows, draw_starved, 4, false};
static const view_part time_split = {time_rows, draw_time, 8, false};
static const view_part foot = {one_row, draw_foot, 10, false};

static const view_part *const parts[] = {
    &head,      &problem,     &label,        &train,       &time_split, &starved,
    &view_flow, &view_curves, &view_workers, &view_events, &foot,
};

#define N_PARTS RT_COUNT(parts)
#define RANKS   12

typedef struct view_plan {
    view_rows wanted[N_PARTS];
    unsigned given[N_PARTS];
    bool gap[N_PARTS];
    unsigned left;
} view_plan;

static void admit(view_plan *plan)
{
    for (unsigned rank = 0; rank < RANKS; rank++)
        for (size_t i = 0; i < N_PARTS; i++) {
            unsigned min = plan->wanted[i].min;
            if (parts[i]->rank != rank || min == 0 || min > plan->left) continue;
            plan->given[i] = min;
            plan->left -= min;
        }
}

static void add_gaps(view_plan *plan)
{
    unsigned n = 0;
    for (size_t i = 0; i < N_PARTS; i++)
        if (parts[i]->has_gap && plan->given[i] > 0) n++;
    if (plan->left < n) return; /* all or none: else it looks ragged */
    for (size_t i = 0; i < N_PARTS; i++) plan->gap[i] = parts[i]->has_gap && plan->given[i] > 0;
    plan->left -= n;
}

/* A row for each in turn as long as one can use it. */
static void deal(view_plan *plan)
{
    for (bool dealt = true; dealt && plan->left > 0;) {
        dealt = false;
        for (size_t i = 0; i < N_PARTS && plan->left > 0; i++) {
            if (plan->given[i] == 0 || plan->given[i] >= plan->wanted[i].max) continue;
            plan->given[i]++;
            plan->left--;
            dealt = true;
        }
    }
}

rt_status view_draw(const watch_data *d, const view_screen *screen, rt_buf *out, rt_error *err)
{
    view_plan plan = {.left = screen->height};
    pen p = {.out = out, .width = screen->width, .colour = screen->colour, .err = err};
    p.status = rt_buf_add(out, "", 0, err);
    for (size_t i = 0; i < N_PARTS; i++) plan.wanted[i] = parts[i]->rows(d, screen);
    admit(&plan);
    add_gaps(&plan);
    deal(&plan);
    for (size_t i = 0; i < N_PARTS; i++) {
        if (plan.given[i] == 0) continue;
        if (plan.gap[i]) pen_end_line(&p);
        parts[i]->draw(d, screen, plan.given[i], &p);
    }
    if (p.status == RT_OK && p.n_lines > 0) out->data[--out->n] = '\0'; /* the last line's end */
    return p.status;
}
