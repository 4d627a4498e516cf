/* The way of the rows: places side by side, what waits in each, and how fast it goes on.
 *
 *     corpus      teachers    LABELS      dataset     BATCHES     students    servers
 *     3,138     → 2         → 12        → 1,200     → 16        → 3         → v120
 *     1,824 left  212/s       waiting     14 rejected waiting     31k tok/s   4.1 steps/s
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "cli/watch/view_parts.h"
#include "common/text/utf8.h"

#define CELLS_MAX   8
#define ARROW       2    /* columns */
#define SPREAD_MAX  18   /* no cell grows beyond */
#define STEP_RATE_S 15.0 /* steps a second are counted over so long */
#define FLOW_ROWS   3

typedef struct flow_cell {
    const char *name;
    char value[32], below[32];
    pen_style style;
    size_t columns;
} flow_cell;

typedef struct flow {
    flow_cell cells[CELLS_MAX];
    size_t n;
} flow;

/* `columns`: what usual numbers need, so that the picture stands still while they change. */
static flow_cell *add_cell(flow *f, const char *name, size_t columns)
{
    flow_cell *c = &f->cells[f->n++];
    *c = (flow_cell){.name = name, .style = PEN_BOLD, .columns = columns};
    return c;
}

static void add_rows(flow *f, const char *name, uint64_t n, uint64_t n_below, const char *below)
{
    char count[32];
    flow_cell *c = add_cell(f, name, 10);
    progress_thousands(n, c->value);
    if (n_below == 0) return;
    progress_thousands(n_below, count);
    snprintf(c->below, sizeof c->below, "%.20s %s", count, below);
}

static void add_queue(flow *f, const char *name, uint64_t n)
{
    flow_cell *c = add_cell(f, name, 7);
    progress_thousands(n, c->value);
    snprintf(c->below, sizeof c->below, "waiting");
}

/* Workers that should be alive and are not are what one looks for first. */
static void add_workers(flow *f, const char *name, const watch_role *role, bool done,
                        const char *below)
{
    flow_cell *c = add_cell(f, name, 9);
    if (role->n_dead > 0 && !done)
        snprintf(c->value, sizeof c->value, "%zu, %zu dead", role->n_alive, role->n_dead);
    else
        snprintf(c->value, sizeof c->value, "%zu", role->n_alive);
    if (!done && (role->n_dead > 0 || role->n_alive == 0)) c->style = PEN_BAD;
    snprintf(c->below, sizeof c->below, "%s", done ? "done" : below);
}

static void rate_text(char *out, size_t n_out, double rate, const char *unit)
{
    char number[16];
    if (!isfinite(rate)) rate = 0;
    if (rate > 0 && rate < 10)
        snprintf(number, sizeof number, "%.1f", rate);
    else
        progress_short_rate(rate, number);
    snprintf(out, n_out, "%s%s", number, unit);
}

static void add_servers(flow *f, const watch_data *d)
{
    char rate[32];
    bool done = d->now.training_done;
    rate_text(rate, sizeof rate, series_slope(&d->series, CURVE_STEP, STEP_RATE_S), " step/s");
    add_workers(f, "servers", &d->servers, done, rate);
}

static void collect(const watch_data *d, flow *f)
{
    const run_stats *s = &d->now;
    char rate[32];
    if (s->labels) {
        add_rows(f, "corpus", s->n_examples, d->n_pending + d->n_leased, "left");
        rate_text(rate, sizeof rate, s->labelled_per_s, "/s");
        add_workers(f, "teachers", &d->teachers, s->labelling_done, rate);
        add_queue(f, "LABELS", d->labels_queue);
    }
    add_rows(f, "dataset", s->n_labelled, s->n_rejected, "rejected");
    if (!s->trains) return;
    add_queue(f, "BATCHES", d->batches_queue);
    rate_text(rate, sizeof rate, s->tokens_per_s, " tok/s");
    add_workers(f, "students", &d->students, s->training_done, rate);
    add_servers(f, d);
    flow_cell *version = add_cell(f, "version", 8);
    snprintf(version->value, sizeof version->value, "%llu", (unsigned long long)s->step);
    if (d->checkpoint > 0)
        snprintf(version->below, sizeof version->below, "saved %llu",
                 (unsigned long long)d->checkpoint);
}

static size_t columns_of(const char *text)
{
    return utf8_columns(text, strlen(text));
}

/* Each cell as wide as its texts; false when that is too much for the screen. What is over is shared. */
static bool lay_out(flow *f, size_t width)
{
    size_t used = (f->n - 1) * ARROW;
    for (size_t i = 0; i < f->n; i++) {
        flow_cell *c = &f->cells[i];
        c->columns = RT_MAX(c->columns, columns_of(c->name));
        c->columns = RT_MAX(c->columns, columns_of(c->value));
        c->columns = RT_MAX(c->columns, columns_of(c->below));
        used += c->columns;
    }
    if (used > width) return false;
    size_t more = (width - used) / f->n;
    for (size_t i = 0; i < f->n; i++)
        f->cells[i].columns =
            RT_MAX(f->cells[i].columns, RT_MIN(f->cells[i].columns + more, (size_t)SPREAD_MAX));
    return true;
}

/* On a narrow screen without the version, then without the corpus: the lines above have both. */
static bool arrange(const watch_data *d, size_t width, flow *f)
{
    *f = (flow){0};
    collect(d, f);
    if (lay_out(f, width)) return true;
    f->n -= d->now.trains ? 1 : 0;
    if (lay_out(f, width)) return true;
    if (!d->now.labels) return false;
    memmove(f->cells, f->cells + 1, --f->n * sizeof *f->cells);
    return lay_out(f, width);
}

static view_rows flow_rows(const watch_data *d, const view_screen *screen)
{
    flow f;
    if (!view_has_picture(d) || !arrange(d, screen->width, &f)) return (view_rows){0};
    return (view_rows){FLOW_ROWS, FLOW_ROWS};
}

static void draw_flow(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    flow f;
    (void)n_rows;
    if (!arrange(d, screen->width, &f)) return;
    for (int row = 0; row < FLOW_ROWS; row++) {
        for (size_t i = 0; i < f.n; i++) {
            const flow_cell *c = &f.cells[i];
            const char *text = row == 0 ? c->name : row == 1 ? c->value : c->below;
            pen_cell(p, row == 1 ? c->style : PEN_DIM, text, c->columns, false);
            if (i + 1 < f.n) pen_cell(p, PEN_ACCENT, row == 1 ? "→" : "", ARROW, false);
        }
        pen_end_line(p);
    }
}

const view_part view_flow = {flow_rows, draw_flow, 5, true};
