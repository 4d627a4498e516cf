/* 16-bit floats to and from float32, one array at a time; rounding is to nearest, ties to even. */
#ifndef RT_CKPT_FLOAT16_H
#define RT_CKPT_FLOAT16_H

#include <stddef.h>
#include <stdint.h>

/* Little-endian bytes, any alignment. */
void float16_decode(const void *bytes, size_t n, float *out);
void bfloat16_decode(const void *bytes, size_t n, float *out);

/* Beyond the range becomes infinity; NaN stays NaN. */
void float16_encode(const float *x, size_t n, uint16_t *out);
void bfloat16_encode(const float *x, size_t n, uint16_t *out);

#endif
