/* A line chart as SVG: axes, ticks, a grid, a legend; title and description for those who hear it.
 *
 *     chart c = {.title = "Loss", .x_name = "step", .y_name = "nats per token",
 *                .lines = lines, .n_lines = 2};
 *     chart_svg(&c, 1, &h);
 *
 * Pure: numbers in, text out, the same text for the same numbers. Colours are CSS variables of the
 * page (--c0 to --c5), so that a dark page has its own; each line also has its own dashes, so that
 * paper without colours still tells them apart.
 */
#ifndef RT_WORKER_REPORT_CHART_H
#define RT_WORKER_REPORT_CHART_H

#include "worker/report/axis.h"
#include "worker/report/html.h"

#define CHART_LINES_MAX 6

/* Borrows everything. A point that is not finite breaks the line. */
typedef struct chart_line {
    const char *name;
    const double *x, *y;      /* [n] */
    const double *low, *high; /* [n], a band behind the line; NULL: none */
    size_t n;
    bool marks; /* a dot at each point */
} chart_line;

typedef struct chart {
    const char *title;
    const char *x_name, *y_name; /* with units */
    const chart_line *lines;
    size_t n_lines; /* at most CHART_LINES_MAX; further ones are left out */
    bool from_zero; /* the y axis begins at 0 */
    bool percent;   /* y is a share, shown in percent */
} chart;

/* `id` is a number of its own on the page. Without a point that can be drawn it says so. */
void chart_svg(const chart *c, unsigned id, html *h);

#endif
