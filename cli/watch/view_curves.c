/* How loss and rates went, and where they are now:
 *
 *     loss       ▇▆▅▄▃▃▂▂▂▁▁▁▁▁  1.234  predict 1.20  explain 2.30
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "cli/watch/sparkline.h"
#include "cli/watch/view_parts.h"
#include "common/text/utf8.h"

#define NAME_COLUMNS  11
#define VALUE_COLUMNS 9
#define CHART_MIN     8
#define CHART_MAX     240
#define CURVE_ROWS    4 /* of one curve, at most */
#define PICTURES_MAX  4
#define SCORE_COLUMNS 4 /* of one validation, at most */

/* One curve: its values over the chart's columns, and the texts beside it. */
typedef struct picture {
    const char *name;
    double values[CHART_MAX];
    size_t n;
    bool from_zero;
    double high_min; /* the scale ends no lower */
    char value[32], beside[128];
} picture;

typedef struct pictures {
    picture items[PICTURES_MAX];
    size_t n;
} pictures;

/* Nothing but zeros is not worth a picture. */
static bool has_value(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]) && values[i] != 0) return true;
    return false;
}

static void losses_text(const watch_data *d, char *out, size_t n_out)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < d->n_losses && n < n_out; i++)
        n += (size_t)snprintf(out + n, n_out - n, "%s%s %.2f", i > 0 ? "  " : "", d->losses[i].task,
                              d->losses[i].value);
    if (d->n_losses == 0 && isfinite(d->grad_norm))
        snprintf(out, n_out, "gradient %.2f", d->grad_norm);
}

static void add_loss(const watch_data *d, size_t n_columns, pictures *all)
{
    picture *c = &all->items[all->n];
    *c = (picture){.name = "loss"};
    c->n = series_sample(&d->series, CURVE_LOSS, c->values, n_columns);
    if (!has_value(c->values, c->n) || !isfinite(d->now.loss)) return;
    snprintf(c->value, sizeof c->value, "%.3f", d->now.loss);
    losses_text(d, c->beside, sizeof c->beside);
    all->n++;
}

/* Validations are few: each has its place, the newest on the right when there are too many. */
static void add_exact(const watch_data *d, size_t n_columns, pictures *all)
{
    picture *c = &all->items[all->n];
    if (d->n_scores == 0 || !isfinite(d->scores[d->n_scores - 1].exact)) return;
    *c = (picture){.name = "exact", .from_zero = true, .high_min = 0.1};
    size_t n = RT_MIN(d->n_scores, n_columns), wide = RT_MIN(n_columns / n, (size_t)SCORE_COLUMNS);
    const watch_score *first = &d->scores[d->n_scores - n];
    c->n = n * wide;
    for (size_t i = 0; i < c->n; i++) c->values[i] = first[i / wide].exact;
    snprintf(c->value, sizeof c->value, "%.1f %%", 100 * first[n - 1].exact);
    snprintf(c->beside, sizeof c->beside, "validation, version %llu",
             (unsigned long long)first[n - 1].version);
    all->n++;
}

static void add_rate(const watch_data *d, curve which, const char *name, double now,
                     size_t n_columns, pictures *all)
{
    picture *c = &all->items[all->n];
    *c = (picture){.name = name, .from_zero = true};
    c->n = series_sample(&d->series, which, c->values, n_columns);
    if (!has_value(c->values, c->n)) return;
    progress_short_rate(now, c->value);
    all->n++;
}

/* The rate is that of the last seconds in which there was something to label. */
static void add_labels(const watch_data *d, size_t n_columns, pictures *all)
{
    size_t n = all->n;
    add_rate(d, CURVE_LABELS, "labels/s", d->now.labelled_per_s, n_columns, all);
    if (all->n > n && d->now.labelling_done) snprintf(all->items[n].value, 32, "done");
}

static void compute_text(const watch_data *d, char *out, size_t n_out)
{
    if (!(d->mflops_per_s > 0)) return;
    int n = snprintf(out, n_out, "%.1f GFLOP/s", d->mflops_per_s / 1000);
    if (n > 0 && (size_t)n < n_out && isfinite(d->peak_share))
        snprintf(out + n, n_out - (size_t)n, ", %.0f %% of the peak", 100 * d->peak_share);
}

static void collect(const watch_data *d, size_t n_columns, pictures *all)
{
    const run_stats *s = &d->now;
    if (s->trains) add_loss(d, n_columns, all);
    if (s->trains) add_exact(d, n_columns, all);
    if (s->labels) add_labels(d, n_columns, all);
    if (s->trains && s->step > 0) {
        add_rate(d, CURVE_TOKENS, "tokens/s", s->tokens_per_s, n_columns, all);
        if (all->n > 0) compute_text(d, all->items[all->n - 1].beside, 128);
    }
}

/* Columns of the chart; `beside` columns are what is left for the texts right of the value. */
static size_t chart_columns(unsigned width, size_t *beside)
{
    size_t fixed = NAME_COLUMNS + 2 + VALUE_COLUMNS;
    *beside = width >= 100 ? (width >= 140 ? 44 : 34) : 0;
    if (width < fixed + CHART_MIN) return 0;
    return RT_MIN(width - fixed - *beside, (size_t)CHART_MAX);
}

static unsigned rows_max(const picture *c)
{
    return has_value(c->values, c->n) ? CURVE_ROWS : 1;
}

/* A row for each, and what is left in turn to those that can use it. */
static void share_rows(const pictures *all, unsigned n_rows, unsigned *rows)
{
    while (n_rows > 0) {
        unsigned before = n_rows;
        for (size_t i = 0; i < all->n && n_rows > 0; i++)
            if (rows[i] < rows_max(&all->items[i])) {
                rows[i]++;
                n_rows--;
            }
        if (n_rows == before) return;
    }
}

static view_rows curve_rows(const watch_data *d, const view_screen *screen)
{
    pictures all = {0};
    size_t beside, n_columns = chart_columns(screen->width, &beside);
    if (!view_has_picture(d) || n_columns == 0) return (view_rows){0};
    collect(d, n_columns, &all);
    unsigned max = 0;
    for (size_t i = 0; i < all.n; i++) max += rows_max(&all.items[i]);
    return (view_rows){(unsigned)all.n, max};
}

static void draw_curve(const picture *c, size_t n_columns, size_t beside, unsigned n_rows, pen *p)
{
    rt_buf row = {0};
    sparkline_scale scale = sparkline_scale_of(c->values, c->n, c->from_zero);
    scale.high = fmax(scale.high, c->high_min);
    for (unsigned i = 0; i < n_rows && p->status == RT_OK; i++) {
        rt_buf_clear(&row);
        p->status = sparkline_row(c->values, c->n, scale, i, n_rows, &row, p->err);
        if (p->status != RT_OK) break;
        bool last = i + 1 == n_rows;
        pen_cell(p, PEN_DIM, last ? c->name : "", NAME_COLUMNS, false);
        pen_cell(p, PEN_ACCENT, row.data, n_columns, false);
        if (last) pen_cell(p, PEN_BOLD, c->value, VALUE_COLUMNS, true);
        if (last && beside > 2 && c->beside[0] != '\0') {
            pen_text(p, PEN_PLAIN, "  ");
            pen_text(p, PEN_DIM, c->beside);
        }
        pen_end_line(p);
    }
    rt_buf_free(&row);
}

static void draw_curves(const watch_data *d, const view_screen *screen, unsigned n_rows, pen *p)
{
    pictures all = {0};
    size_t beside, n_columns = chart_columns(screen->width, &beside);
    collect(d, n_columns, &all);
    unsigned rows[PICTURES_MAX] = {0};
    share_rows(&all, n_rows, rows);
    for (size_t i = 0; i < all.n; i++) draw_curve(&all.items[i], n_columns, beside, rows[i], p);
}

const view_part view_curves = {curve_rows, draw_curves, 6, true};
