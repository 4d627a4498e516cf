/* Vectors of the compiler, as wide as the target has: it lowers them to what the target can do.
 *
 * Numbers kept in half the bytes are bfloat16, arithmetic is float32: the upper half of a float32 is
 * one shift away. Two of them lie in a word, so one load gives two vectors. A group of LANES_GROUP
 * numbers is kept in the order that makes these two vectors whole; with LANES 16:
 *
 *     kept      0 16  1 17  2 18  ..  15 31
 *     low       0     1     2     ..  15
 *     high        16     17     18  ..    31
 */
#ifndef RT_NN_LANES_H
#define RT_NN_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

/* Numbers of a group that is kept in halves. */
#define LANES_GROUP ((size_t)2 * LANES)

#define LANES_INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(LANES * 4)));
typedef int32_t int_lanes __attribute__((vector_size(LANES * 4)));
typedef uint32_t word_lanes __attribute__((vector_size(LANES * 4)));
typedef uint16_t half_lanes __attribute__((vector_size(LANES * 2)));

LANES_INLINE lanes lanes_load(const float *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

LANES_INLINE void lanes_store(float *x, lanes v)
{
    memcpy(x, &v, sizeof v);
}

LANES_INLINE lanes lanes_splat(float x)
{
    return x - (lanes){0};
}

/* n < LANES elements, the rest filled up. */
LANES_INLINE lanes lanes_load_part(const float *x, size_t n, float fill)
{
    lanes v = lanes_splat(fill);
    memcpy(&v, x, n * sizeof *x);
    return v;
}

/* A group kept in halves, as two vectors of float32. */
LANES_INLINE void lanes_widen(const uint16_t *x, lanes *low, lanes *high)
{
    word_lanes words;
    memcpy(&words, x, sizeof words);
    *low = (lanes)(words << 16);
    *high = (lanes)(words & 0xffff0000U);
}

/* LANES bfloat16 numbers in their own order. */
LANES_INLINE lanes lanes_load_half(const uint16_t *x)
{
    half_lanes halves;
    memcpy(&halves, x, sizeof halves);
    return (lanes)(__builtin_convertvector(halves, word_lanes) << 16);
}

/* The first halves of both, dealt out by turns: a0 b0 a1 b1 ..; then the second halves. */
LANES_INLINE lanes lanes_zip_low(lanes a, lanes b)
{
#if LANES == 16
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif LANES == 8
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}

LANES_INLINE lanes lanes_zip_high(lanes a, lanes b)
{
#if LANES == 16
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
#elif LANES == 8
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

/* Nearest bfloat16 of each number in the upper half of its word, ties to even; NaN stays NaN
 * (bf16_from_f32() of gemm_bf16.h). */
LANES_INLINE word_lanes lanes_round(lanes x)
{
    word_lanes u = (word_lanes)x;
    word_lanes is_nan = (word_lanes)((u & 0x7fffffffU) > 0x7f800000U);
    word_lanes rounded = u + 0x7fffU + (u >> 16 & 1U);
    return ((u | 0x400000U) & is_nan) | (rounded & ~is_nan);
}

/* The reverse of lanes_widen(). */
LANES_INLINE void lanes_narrow(uint16_t *x, lanes low, lanes high)
{
    word_lanes words = lanes_round(low) >> 16 | (lanes_round(high) & 0xffff0000U);
    memcpy(x, &words, sizeof words);
}

LANES_INLINE size_t lanes_number_bytes(bool half)
{
    return half ? sizeof(uint16_t) : sizeof(float);
}

/* A group kept either way; `half` is a constant. */
LANES_INLINE void lanes_load_group(const char *at, bool half, lanes *low, lanes *high)
{
    if (half) {
        lanes_widen((const uint16_t *)at, low, high);
        return;
    }
    *low = lanes_load((const float *)at);
    *high = lanes_load((const float *)at + LANES);
}

/* Where number i of a group is kept. */
LANES_INLINE size_t lanes_place(size_t i)
{
    return i % LANES * 2 + i / LANES;
}

#endif
