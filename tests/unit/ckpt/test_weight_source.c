#include <criterion/criterion.h>

#include "common/ckpt/weight_source.h"

Test(weight_source, neighbours_and_halves_are_inverse_and_stay_in_their_head)
{
    static const size_t widths[] = {2, 4, 6, 64};
    for (size_t w = 0; w < RT_COUNT(widths); w++) {
        size_t d = widths[w];
        for (size_t row = 0; row < 3 * d; row++) {
            size_t other = rotary_neighbour_row(row, d);
            cr_expect_eq(other / d, row / d);
            cr_expect_eq(rotary_half_row(other, d), row);
        }
    }
    /* the pair (c, c + d/2) becomes (2c, 2c + 1) */
    cr_expect_eq(rotary_neighbour_row(8 + 1, 8), 8 + 2);
    cr_expect_eq(rotary_neighbour_row(8 + 5, 8), 8 + 3);
}
