#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/model_shape/wire_floats.h"

Test(wire_floats, bf16_rounds_to_nearest_even_and_comes_back)
{
    /* 1 + 2^-8 lies between two bf16 numbers: the even one is 1. 1 + 3 * 2^-8 goes up. */
    static const float in[] = {0, -0.0f, 1, 1 + 0x1p-8f, 1 + 0x3p-8f, -3.1415927f, 1e-40f, 3.4e38f};
    static const float out[] = {0, -0.0f, 1, 1, 1 + 0x1p-6f, -3.140625f, 0x1p-133f, INFINITY};
    uint16_t half[RT_COUNT(in)];
    char odd[sizeof half + 1];
    float back[RT_COUNT(in)];
    wire_floats_pack(WIRE_ELEMENT_BF16, in, RT_COUNT(in), half);
    memcpy(odd + 1, half, sizeof half); /* a frame need not lie where a number may lie */
    wire_floats_unpack(WIRE_ELEMENT_BF16, odd + 1, RT_COUNT(in), back);
    for (size_t i = 0; i < RT_COUNT(in); i++)
        cr_expect(memcmp(&back[i], &out[i], sizeof back[i]) == 0, "%zu: %a is %a, expected %a", i,
                  (double)in[i], (double)back[i], (double)out[i]);
}

Test(wire_floats, f32_keeps_every_bit)
{
    static const float in[] = {1.1f, NAN, -INFINITY, 1e-40f};
    char odd[sizeof in + 1];
    float bytes[RT_COUNT(in)], back[RT_COUNT(in)];
    wire_floats_pack(WIRE_ELEMENT_F32, in, RT_COUNT(in), bytes);
    memcpy(odd + 1, bytes, sizeof bytes);
    wire_floats_unpack(WIRE_ELEMENT_F32, odd + 1, RT_COUNT(in), back);
    cr_expect(memcmp(in, back, sizeof in) == 0);
}

Test(wire_floats, rounding_does_not_depend_on_where_a_slice_begins)
{
    enum { N = 100000 }; /* beyond the size where rounding takes several threads */
    float *floats = malloc(N * sizeof *floats);
    uint16_t *whole = malloc(N * sizeof *whole), *parts = malloc(N * sizeof *parts);
    for (size_t i = 0; i < N; i++) floats[i] = sinf((float)i) * 0.01f;
    wire_floats_pack(WIRE_ELEMENT_BF16, floats, N, whole);
    for (size_t at = 0, n = 1; at < N; at += n, n = n * 3 + 1)
        wire_floats_pack(WIRE_ELEMENT_BF16, floats + at, RT_MIN(n, N - at), parts + at);
    cr_expect(memcmp(whole, parts, N * sizeof *whole) == 0);
    free(floats);
    free(whole);
    free(parts);
}

Test(wire_floats, frames_are_of_one_size_in_every_format)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        size_t n = wire_frame_floats((wire_element)e);
        cr_expect_eq(n * wire_element_bytes((wire_element)e), WIRE_FRAME_BYTES);
        cr_expect_geq(WIRE_FRAME_BYTES, 1u << 20);
        cr_expect_leq(WIRE_FRAME_BYTES, 4u << 20);
        cr_expect_eq(wire_frames_of((wire_element)e, 0), 0);
        cr_expect_eq(wire_frames_of((wire_element)e, n), 1);
        cr_expect_eq(wire_frames_of((wire_element)e, n + 1), 2);
    }
}
