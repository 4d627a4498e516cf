/* Gated activations of bfloat16 against those of float32; theirs against plain loops: test_ops.c. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/vec_gated.h"

#define N_MOST 150

typedef struct activation {
    const char *name;
    void (*forward)(const float *, const float *, float *, size_t);
    void (*backward)(const float *, const float *, const float *, float *, float *, size_t);
    void (*forward_half)(const bf16 *, size_t, bf16 *);
    void (*backward_half)(const bf16 *, const bf16 *, size_t, bf16 *);
} activation;

static const activation activations[] = {
    {"swiglu", vec_swiglu, vec_swiglu_backward, row_swiglu_half, row_swiglu_backward_half},
    {"gated_gelu", vec_gated_gelu, vec_gated_gelu_backward, row_gated_gelu_half,
     row_gated_gelu_backward_half},
};

/* Some of every size, and what is no number: NaN with low bits alone, infinities. */
static void fill(float *x, size_t n, uint64_t seed)
{
    static const float odd[] = {INFINITY, -INFINITY, 0, -0.0f, 1e-40f, 3e38f, -90, 90};
    rng_key key = rng_key_make(seed, "gated", (rt_id){0, 0}, 0);
    uint32_t nan_bits = 0x7f800001U;
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i) * powf(10, (float)(i % 5) - 2);
    for (size_t i = 0; i < RT_COUNT(odd); i++) x[(i * 17 + seed) % n] = odd[i];
    memcpy(&x[n / 2], &nan_bits, sizeof nan_bits);
}

static void expect_same(const char *what, const bf16 *found, const bf16 *expected, size_t n)
{
    for (size_t i = 0; i < 2 * N_MOST; i++) {
        if (isnan(bf16_to_f32(expected[i])) && isnan(bf16_to_f32(found[i]))) continue;
        cr_assert_eq(found[i], expected[i], "%s of %zu, number %zu: found %#x, expected %#x", what,
                     n, i, found[i], expected[i]);
    }
}

Test(vec_gated, rows_of_bfloat16_are_those_of_float32_between_two_conversions)
{
    float x[2 * N_MOST], d_y[N_MOST], y[N_MOST], d_x[2 * N_MOST];
    bf16 x_half[2 * N_MOST], d_y_half[N_MOST], found[2 * N_MOST], expected[2 * N_MOST];
    fill(x, 2 * N_MOST, 1);
    fill(d_y, N_MOST, 2);
    bf16_from_f32(x, 2 * N_MOST, x_half);
    bf16_from_f32(d_y, N_MOST, d_y_half);
    bf16_to_f32_row(x_half, 2 * N_MOST, x);
    bf16_to_f32_row(d_y_half, N_MOST, d_y);
    for (size_t i = 0; i < 2 * N_MOST; i++) {
        const activation *a = &activations[i % 2];
        size_t d = i / 2;
        memset(found, 0xee, sizeof found); /* what lies behind stays as it is */
        memset(expected, 0xee, sizeof expected);
        a->forward(x, x + d, y, d);
        bf16_from_f32(y, d, expected);
        a->forward_half(x_half, d, found);
        expect_same(a->name, found, expected, d);
        a->backward(x, x + d, d_y, d_x, d_x + d, d);
        bf16_from_f32(d_x, 2 * d, expected);
        a->backward_half(x_half, d_y_half, d, found);
        expect_same(a->name, found, expected, d);
    }
}
