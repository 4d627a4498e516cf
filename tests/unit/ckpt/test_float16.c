#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/ckpt/float16.h"

Test(float16, every_half_survives_the_way_to_float_and_back)
{
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t in = (uint16_t)h, out;
        float x;
        float16_decode(&in, 1, &x);
        float16_encode(&x, 1, &out);
        if (isnan(x))
            cr_assert((out & 0x7C00) == 0x7C00 && (out & 0x3FF) != 0, "%04x", h);
        else
            cr_assert_eq(in, out, "%04x became %g and then %04x", h, (double)x, out);
        bfloat16_decode(&in, 1, &x);
        bfloat16_encode(&x, 1, &out);
        if (!isnan(x)) cr_assert_eq(in, out, "bfloat %04x", h);
    }
}

/* The nearest half is found by trying both neighbours. */
Test(float16, rounds_to_nearest_even_between_all_neighbours)
{
    for (uint16_t h = 0; h < 0x7BFF; h++) {
        uint16_t next = (uint16_t)(h + 1), out;
        float low, high, middle, above, below;
        float16_decode(&h, 1, &low);
        float16_decode(&next, 1, &high);
        middle = (low + high) / 2;
        above = nextafterf(middle, INFINITY);
        below = nextafterf(middle, 0);
        float16_encode(&middle, 1, &out);
        cr_assert_eq(out, h % 2 == 0 ? h : next, "middle above %04x", h);
        float16_encode(&above, 1, &out);
        cr_assert_eq(out, next, "just above the middle of %04x", h);
        float16_encode(&below, 1, &out);
        cr_assert_eq(out, h, "just below the middle of %04x", h);
    }
}

Test(float16, known_values)
{
    const float x[] = {1, -2, 65504, 65519.996f, 65520, 1e30f, -1e30f, 0x1p-24f, 0x1p-26f, 0.1f};
    const uint16_t half[] = {0x3C00, 0xC000, 0x7BFF, 0x7BFF, 0x7C00,
                             0x7C00, 0xFC00, 0x0001, 0x0000, 0x2E66};
    uint16_t out[10];
    float16_encode(x, 10, out);
    for (size_t i = 0; i < 10; i++) cr_expect_eq(out[i], half[i], "%g: %04x", (double)x[i], out[i]);
    const float y[] = {1, 3.140625f, 3.1416f, 0x1.01p0f, 0x1.03p0f, INFINITY};
    const uint16_t bfloat[] = {0x3F80, 0x4049, 0x4049, 0x3F80, 0x3F82, 0x7F80};
    bfloat16_encode(y, 6, out);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(out[i], bfloat[i], "%g: %04x", (double)y[i], out[i]);
    const float nan = NAN;
    float back;
    bfloat16_encode(&nan, 1, out);
    bfloat16_decode(out, 1, &back);
    cr_expect(isnan(back));
}
