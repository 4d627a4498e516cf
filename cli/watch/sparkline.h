/* A curve out of block characters, eight steps to a row of text.
 *
 *     sparkline("1 2 3 4" ..)   ▁▃▆█
 *
 * With more rows the same values stand higher: row 0 is the top.
 */
#ifndef RT_CLI_WATCH_SPARKLINE_H
#define RT_CLI_WATCH_SPARKLINE_H

#include "common/base/bytes.h"

typedef struct sparkline_scale {
    double low, high;
} sparkline_scale;

/* The range of the finite values; from zero on when `from_zero`. {0, 0} when there are none. */
sparkline_scale sparkline_scale_of(const double *values, size_t n, bool from_zero);
/* Adds n columns of row i_row of n_rows: a blank where the value is not finite, and at least the
 * lowest step in the bottom row where it is. Equal values stand in the middle. */
RT_MUST_USE rt_status sparkline_row(const double *values, size_t n, sparkline_scale scale,
                                    unsigned i_row, unsigned n_rows, rt_buf *out, rt_error *err);

#endif
