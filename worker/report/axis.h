/* An axis of a chart: from what to what, where its ticks are, and how they are written. Pure.
 *
 *     axis a = axis_linear(0, 873, 6);                     // 0 .. 1000, a tick each 200
 *     double x = axis_place(&a, 400, plot_width);          // 0 .. plot_width
 *     for (size_t i = 0; i < axis_n_ticks(&a); i++) axis_text(&a, axis_tick(&a, i), text);
 */
#ifndef RT_WORKER_REPORT_AXIS_H
#define RT_WORKER_REPORT_AXIS_H

#include <stdbool.h>
#include <stddef.h>

#define AXIS_TICKS_MAX 12
#define AXIS_TEXT_SIZE 24

/* Always finite, low < high, and of a logarithmic one low > 0. */
typedef struct axis {
    double low, high;
    double step; /* between ticks; of a logarithmic axis: of their exponents */
    bool logarithmic;
} axis;

/**
 * The round axis that holds [low, high]: ends and ticks are multiples of 1, 2 or 5 times a power of
 * ten, with at most n_ticks_max (2 to AXIS_TICKS_MAX) ticks. What is not finite, or in the wrong
 * order, gives an axis around what is left of it.
 */
axis axis_linear(double low, double high, size_t n_ticks_max);
/* The same with ticks at powers of ten. Falls back to a linear one where low <= 0. */
axis axis_logarithmic(double low, double high, size_t n_ticks_max);
/* Whether a logarithmic axis shows more: positive, and more than two powers of ten apart. */
bool axis_wants_logarithm(double low, double high);

/* Where a value lies on an axis of that length; never outside, 0 for a NaN. */
double axis_place(const axis *a, double value, double length);
size_t axis_n_ticks(const axis *a);
double axis_tick(const axis *a, size_t i);
/* As short as the step allows: "0.05", "1,200", "250k", "1.5M", "1e-9". */
void axis_text(const axis *a, double value, char out[AXIS_TEXT_SIZE]);

/* A number for people, three digits or whole thousands with commas: "0.0123", "12.3", "1,234". */
void number_text(double value, char out[AXIS_TEXT_SIZE]);

#endif
