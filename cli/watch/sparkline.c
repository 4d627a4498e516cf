#include "cli/watch/sparkline.h"

#include <math.h>

#define STEPS 8 /* of one row */

static const char *const blocks[STEPS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

sparkline_scale sparkline_scale_of(const double *values, size_t n, bool from_zero)
{
    sparkline_scale scale = {INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        scale.low = fmin(scale.low, values[i]);
        scale.high = fmax(scale.high, values[i]);
    }
    if (scale.low > scale.high) return (sparkline_scale){0};
    if (from_zero) scale.low = fmin(scale.low, 0);
    return scale;
}

/* Steps that a value stands high, 1 to n_steps. */
static unsigned height_of(double value, sparkline_scale scale, unsigned n_steps)
{
    double span = scale.high - scale.low;
    double share = span > 0 ? (value - scale.low) / span : scale.high == 0 ? 0 : 0.5;
    return 1 + (unsigned)lround(fmin(fmax(share, 0), 1) * (double)(n_steps - 1));
}

rt_status sparkline_row(const double *values, size_t n, sparkline_scale scale, unsigned i_row,
                        unsigned n_rows, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    unsigned below = STEPS * (n_rows - 1 - i_row);
    for (size_t i = 0; i < n && st == RT_OK; i++) {
        unsigned height = isfinite(values[i]) ? height_of(values[i], scale, STEPS * n_rows) : 0;
        unsigned here = height > below ? RT_MIN(height - below, (unsigned)STEPS) : 0;
        st = rt_buf_add_text(out, blocks[here], err);
    }
    return st;
}
