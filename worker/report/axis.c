#include "worker/report/axis.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Beyond these a chart shows nothing, and sums of doubles would no longer be finite. */
#define VALUE_MAX    1e150
#define POSITIVE_MIN 1e-150

static double within(double value)
{
    if (isnan(value)) return 0;
    return fmin(fmax(value, -VALUE_MAX), VALUE_MAX);
}

/* The smallest of 1, 2, 5 times a power of ten that is not below x. */
static double round_step(double x)
{
    double power = pow(10, floor(log10(x)));
    static const double parts[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 4; i++)
        if (parts[i] * power >= x * (1 - 1e-9)) return parts[i] * power;
    return 10 * power;
}

static size_t ticks_within(size_t n)
{
    return n < 2 ? 2 : n > AXIS_TICKS_MAX ? AXIS_TICKS_MAX : n;
}

axis axis_linear(double low, double high, size_t n_ticks_max)
{
    size_t n = ticks_within(n_ticks_max);
    low = within(low);
    high = within(high);
    if (low > high) {
        double swap = low;
        low = high;
        high = swap;
    }
    /* One value alone: room around it, and a difference that doubles can tell. */
    double least = fmax(fmax(fabs(low), fabs(high)) * 1e-9, POSITIVE_MIN);
    if (high - low < least) {
        double room = low == 0 && high == 0 ? 1 : fmax(fabs(high) * 0.1, least);
        if (low >= 0 && low - room < 0)
            low = 0;
        else
            low -= room;
        high += room;
    }
    axis a = {.step = round_step((high - low) / (double)(n - 1))};
    for (;;) {
        a.low = floor(low / a.step + 1e-9) * a.step;
        a.high = ceil(high / a.step - 1e-9) * a.step;
        if (axis_n_ticks(&a) <= n) return a;
        a.step = round_step(a.step * 1.5);
    }
}

axis axis_logarithmic(double low, double high, size_t n_ticks_max)
{
    size_t n = ticks_within(n_ticks_max);
    if (!(low > 0) || !(high > 0)) return axis_linear(low, high, n);
    low = fmin(fmax(low, POSITIVE_MIN), VALUE_MAX);
    high = fmin(fmax(high, POSITIVE_MIN), VALUE_MAX);
    double first = floor(fmin(log10(low), log10(high)) + 1e-9);
    double last = ceil(fmax(log10(low), log10(high)) - 1e-9);
    if (last <= first) last = first + 1;
    axis a = {.logarithmic = true, .step = fmax(1, ceil((last - first) / (double)(n - 1)))};
    last = first + ceil((last - first) / a.step) * a.step;
    a.low = pow(10, first);
    a.high = pow(10, last);
    return a;
}

bool axis_wants_logarithm(double low, double high)
{
    return low > 0 && isfinite(high) && high / low > 100;
}

double axis_place(const axis *a, double value, double length)
{
    if (isnan(value)) return 0;
    double low = a->low, high = a->high;
    if (a->logarithmic) {
        if (value <= 0) return 0;
        low = log10(low);
        high = log10(high);
        value = log10(value);
    }
    return fmin(fmax((value - low) / (high - low), 0), 1) * length;
}

size_t axis_n_ticks(const axis *a)
{
    double span = a->logarithmic ? log10(a->high) - log10(a->low) : a->high - a->low;
    double n = floor(span / a->step + 0.5) + 1;
    return n > 1000 ? 1000 : (size_t)n;
}

double axis_tick(const axis *a, size_t i)
{
    if (a->logarithmic) return pow(10, log10(a->low) + (double)i * a->step);
    double value = a->low + (double)i * a->step;
    return fabs(value) < a->step * 1e-6 ? 0 : value; /* no "-0" and no 1e-17 */
}

/* Commas into the whole part. */
static void with_commas(const char *digits, char out[AXIS_TEXT_SIZE])
{
    size_t n_whole = strcspn(digits, "."), at = 0;
    size_t n_sign = digits[0] == '-';
    for (size_t i = 0; digits[i] != '\0' && at + 2 < AXIS_TEXT_SIZE; i++) {
        if (i > n_sign && i < n_whole && (n_whole - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

/* Decimals that tell neighbours apart. */
static int decimals_of(double step)
{
    int n = (int)-floor(log10(step) + 1e-9);
    return n < 0 ? 0 : n;
}

void axis_text(const axis *a, double value, char out[AXIS_TEXT_SIZE])
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    char digits[AXIS_TEXT_SIZE];
    double largest = fmax(fabs(a->low), fabs(a->high));
    double step = a->logarithmic ? fmin(fabs(value), 1) : a->step;
    if (value == 0) {
        snprintf(out, AXIS_TEXT_SIZE, "0");
        return;
    }
    if (largest >= 1e13 || step < 1e-5 || (a->logarithmic && fabs(value) >= 1e6)) {
        snprintf(out, AXIS_TEXT_SIZE, "%.3g", value);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        double unit = units[i].unit;
        if (a->logarithmic || largest < 10 * unit) continue;
        snprintf(digits, sizeof digits, "%.*f%s", decimals_of(step / unit), value / unit,
                 units[i].name);
        with_commas(digits, out);
        return;
    }
    snprintf(digits, sizeof digits, "%.*f", decimals_of(step), value);
    with_commas(digits, out);
}

void number_text(double value, char out[AXIS_TEXT_SIZE])
{
    char digits[AXIS_TEXT_SIZE];
    double size = fabs(value);
    if (!isfinite(value)) {
        snprintf(out, AXIS_TEXT_SIZE, "not finite");
    } else if (size >= 1e13 || (size > 0 && size < 1e-4)) {
        snprintf(out, AXIS_TEXT_SIZE, "%.3g", value);
    } else if (size >= 100) {
        snprintf(digits, sizeof digits, "%.0f", value);
        with_commas(digits, out);
    } else {
        snprintf(out, AXIS_TEXT_SIZE, "%.3g", value);
    }
}
