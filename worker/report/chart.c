#include "worker/report/chart.h"

#include <math.h>
#include <stdio.h>

/* In user units; the page scales them to its width. */
#define WIDTH        480.0
#define HEIGHT       300.0
#define LEFT         60.0
#define RIGHT        14.0
#define TOP          28.0
#define BOTTOM       74.0
#define PLOT_WIDTH   (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT  (HEIGHT - TOP - BOTTOM)
#define LEGEND_Y     (HEIGHT - 10.0)
#define MARKS_MAX    60 /* more dots than that are a smear */
#define X_TICKS_MAX  6
#define Y_TICKS_MAX  6
#define LETTER_WIDTH 6.6 /* about, at 12 units */

typedef struct plot {
    const chart *chart;
    size_t n_lines;
    axis x, y;
    html *h;
} plot;

typedef struct range {
    double low, high;
    size_t n;
} range;

static void range_add(range *r, double value)
{
    if (!isfinite(value)) return;
    r->low = r->n == 0 ? value : fmin(r->low, value);
    r->high = r->n == 0 ? value : fmax(r->high, value);
    r->n++;
}

static bool is_drawn(const chart_line *line, size_t i)
{
    return isfinite(line->x[i]) && isfinite(line->y[i]);
}

static bool set_axes(plot *p)
{
    range x = {0}, y = {0};
    for (size_t k = 0; k < p->n_lines; k++) {
        const chart_line *line = &p->chart->lines[k];
        for (size_t i = 0; i < line->n; i++) {
            if (!is_drawn(line, i)) continue;
            range_add(&x, line->x[i]);
            range_add(&y, line->y[i]);
            if (line->low != NULL) range_add(&y, line->low[i]);
            if (line->high != NULL) range_add(&y, line->high[i]);
        }
    }
    if (x.n == 0) return false;
    if (x.low > 0 && x.low < x.high / 2) x.low = 0;
    p->x = axis_linear(x.low, x.high, X_TICKS_MAX);
    /* The line fills the width: the axis ends with the data, its ticks stay round. */
    if (x.high > x.low && x.high < p->x.high && p->x.low <= 0) p->x.high = x.high;
    if (p->chart->percent)
        p->y = axis_linear(0, 1, Y_TICKS_MAX);
    else if (p->chart->from_zero)
        p->y = axis_linear(fmin(0, y.low), y.high, Y_TICKS_MAX);
    else if (axis_wants_logarithm(y.low, y.high))
        p->y = axis_logarithmic(y.low, y.high, Y_TICKS_MAX);
    else
        p->y = axis_linear(y.low, y.high, Y_TICKS_MAX);
    return true;
}

static double place_x(const plot *p, double x)
{
    return LEFT + axis_place(&p->x, x, PLOT_WIDTH);
}

static double place_y(const plot *p, double y)
{
    return TOP + PLOT_HEIGHT - axis_place(&p->y, y, PLOT_HEIGHT);
}

static void y_text(const plot *p, double value, char out[AXIS_TEXT_SIZE])
{
    if (p->chart->percent)
        snprintf(out, AXIS_TEXT_SIZE, "%.0f %%", 100 * value);
    else
        axis_text(&p->y, value, out);
}

static void draw_axes(const plot *p)
{
    char text[AXIS_TEXT_SIZE];
    html_raw(p->h, "<g class=\"grid\">");
    for (size_t i = 0; i < axis_n_ticks(&p->y); i++) {
        double y = place_y(p, axis_tick(&p->y, i));
        y_text(p, axis_tick(&p->y, i), text);
        html_printf(p->h, "<path d=\"M%.0f %.1fH%.0f\"/><text x=\"%.0f\" y=\"%.1f\">", LEFT, y,
                    WIDTH - RIGHT, LEFT - 6, y + 4);
        html_text(p->h, text);
        html_raw(p->h, "</text>");
    }
    html_raw(p->h, "</g><g class=\"ticks\">");
    for (size_t i = 0; i < axis_n_ticks(&p->x); i++) {
        double value = axis_tick(&p->x, i);
        if (value > p->x.high * (1 + 1e-9)) break;
        double x = place_x(p, value);
        axis_text(&p->x, value, text);
        html_printf(p->h, "<path d=\"M%.1f %.0fv5\"/><text x=\"%.1f\" y=\"%.0f\">", x,
                    TOP + PLOT_HEIGHT, x, TOP + PLOT_HEIGHT + 18);
        html_text(p->h, text);
        html_raw(p->h, "</text>");
    }
    html_printf(p->h, "<path class=\"axis\" d=\"M%.0f %.0fV%.0fH%.0f\"/>", LEFT, TOP,
                TOP + PLOT_HEIGHT, WIDTH - RIGHT);
    html_printf(p->h, "<text x=\"%.0f\" y=\"%.0f\">", LEFT + PLOT_WIDTH / 2,
                TOP + PLOT_HEIGHT + 36);
    html_text(p->h, p->chart->x_name);
    html_printf(p->h, "</text></g><text class=\"unit\" x=\"4\" y=\"%.0f\">", TOP - 14);
    html_text(p->h, p->chart->y_name);
    if (p->y.logarithmic) html_raw(p->h, ", logarithmic");
    html_raw(p->h, "</text>");
}

/* From first on, up to a point that cannot be drawn; its end. */
static size_t end_of_piece(const chart_line *line, size_t first)
{
    size_t i = first;
    while (i < line->n && is_drawn(line, i)) i++;
    return i;
}

static void draw_band(const plot *p, const chart_line *line, size_t i_line)
{
    if (line->low == NULL || line->high == NULL) return;
    for (size_t i = 0; i < line->n; i++) {
        size_t end = end_of_piece(line, i);
        if (end - i < 2) continue;
        html_printf(p->h, "<path class=\"band\" fill=\"var(--c%zu)\" d=\"M", i_line);
        for (size_t k = i; k < end; k++)
            html_printf(p->h, "%.1f %.1f ", place_x(p, line->x[k]), place_y(p, line->high[k]));
        for (size_t k = end; k-- > i;)
            html_printf(p->h, "%.1f %.1f ", place_x(p, line->x[k]), place_y(p, line->low[k]));
        html_raw(p->h, "Z\"/>");
        i = end;
    }
}

static void draw_line(const plot *p, const chart_line *line, size_t i_line)
{
    for (size_t i = 0; i < line->n; i++) {
        size_t end = end_of_piece(line, i);
        if (end - i < 2) continue;
        html_printf(p->h, "<path class=\"line l%zu\" d=\"M", i_line);
        for (size_t k = i; k < end; k++)
            html_printf(p->h, "%.1f %.1f ", place_x(p, line->x[k]), place_y(p, line->y[k]));
        html_raw(p->h, "\"/>");
        i = end;
    }
    if (line->n > MARKS_MAX || (!line->marks && line->n > 1)) return;
    for (size_t i = 0; i < line->n; i++)
        if (is_drawn(line, i))
            html_printf(p->h, "<circle class=\"dot l%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>",
                        i_line, place_x(p, line->x[i]), place_y(p, line->y[i]));
}

static size_t n_letters(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void draw_legend(const plot *p)
{
    double x = LEFT;
    for (size_t k = 0; k < p->n_lines; k++) {
        const char *name = p->chart->lines[k].name;
        html_printf(p->h, "<path class=\"line l%zu\" d=\"M%.1f %.1fh24\"/>", k, x, LEGEND_Y - 4);
        html_printf(p->h, "<text class=\"key\" x=\"%.1f\" y=\"%.1f\">", x + 29, LEGEND_Y);
        html_text(p->h, name);
        html_raw(p->h, "</text>");
        x += 29 + LETTER_WIDTH * (double)n_letters(name) + 16;
    }
}

/* What a screen reader says in the place of the picture. */
static void describe(const plot *p)
{
    html *h = p->h;
    char from[AXIS_TEXT_SIZE], to[AXIS_TEXT_SIZE], x_from[AXIS_TEXT_SIZE], x_to[AXIS_TEXT_SIZE];
    html_text(h, p->chart->y_name);
    html_raw(h, " over ");
    html_text(h, p->chart->x_name);
    html_raw(h, ".");
    for (size_t k = 0; k < p->n_lines; k++) {
        const chart_line *line = &p->chart->lines[k];
        size_t first = 0, last = line->n;
        while (first < line->n && !is_drawn(line, first)) first++;
        while (last > first && !is_drawn(line, last - 1)) last--;
        html_raw(h, " ");
        html_text(h, line->name);
        if (first == last) {
            html_raw(h, ": no values.");
            continue;
        }
        double scale = p->chart->percent ? 100 : 1;
        const char *unit = p->chart->percent ? " %" : "";
        number_text(scale * line->y[first], from);
        number_text(scale * line->y[last - 1], to);
        number_text(line->x[first], x_from);
        number_text(line->x[last - 1], x_to);
        html_printf(h, ": from %s%s at %s to %s%s at %s.", from, unit, x_from, to, unit, x_to);
    }
}

void chart_svg(const chart *c, unsigned id, html *h)
{
    plot p = {.chart = c, .h = h};
    p.n_lines = c->n_lines < CHART_LINES_MAX ? c->n_lines : CHART_LINES_MAX;
    html_raw(h, "<figure class=\"chart\"><figcaption>");
    html_text(h, c->title);
    html_raw(h, "</figcaption>");
    if (!set_axes(&p)) {
        html_raw(h, "<p class=\"none\">No values were recorded.</p></figure>");
        return;
    }
    html_printf(h,
                "<svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-labelledby=\"t%u d%u\">"
                "<title id=\"t%u\">",
                WIDTH, HEIGHT, id, id, id);
    html_text(h, c->title);
    html_printf(h, "</title><desc id=\"d%u\">", id);
    describe(&p);
    html_raw(h, "</desc>");
    draw_axes(&p);
    for (size_t k = 0; k < p.n_lines; k++) draw_band(&p, &c->lines[k], k);
    for (size_t k = 0; k < p.n_lines; k++) draw_line(&p, &c->lines[k], k);
    draw_legend(&p);
    html_raw(h, "</svg></figure>\n");
}
