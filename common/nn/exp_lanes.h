/* exp of a vector of numbers. Our own polynomial, so that it does not depend on the C library; its
 * relative error is below 3e-7. */
#ifndef RT_NN_EXP_LANES_H
#define RT_NN_EXP_LANES_H

#include <math.h>

#include "common/nn/lanes.h"

/* exp(x) = 2^k * e^r with k = round(x / ln 2), |r| <= ln 2 / 2, e^r by its Taylor polynomial. */
LANES_INLINE lanes exp_lanes(lanes x)
{
    const float round_bits = 0x1.8p23f; /* adding it leaves the rounded integer in the low bits */
    int_lanes under = x < -87.3f;       /* results below the normal range are 0 */
    int_lanes over = x > 88.3f;
    lanes shifted = x * 1.44269504f + round_bits;
    lanes k = shifted - round_bits;
    lanes r = x - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    lanes p = lanes_splat(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    word_lanes power = ((word_lanes)shifted - 0x4B400000U + 127U) << 23;
    lanes value = p * (lanes)power;
    lanes infinite = lanes_splat(INFINITY);
    return (lanes)(((int_lanes)value & ~under & ~over) | ((int_lanes)infinite & over));
}

#endif
