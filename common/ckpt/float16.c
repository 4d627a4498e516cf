#include "common/ckpt/float16.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float decode_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1F, fraction = h & 0x3FF;
    if (exponent == 0x1F) return from_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        float size = (float)fraction * 0x1p-24f;
        return from_bits(sign | to_bits(size));
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t encode_half(float x)
{
    uint32_t bits = to_bits(x), size = bits & 0x7FFFFFFF;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (size > 0x7F800000) return sign | 0x7E00;  /* NaN */
    if (size >= 0x477FF000) return sign | 0x7C00; /* from 65520 on: infinity */
    if (size < 0x38800000) {
        /* Below 2^-14: adding 0.5 leaves the fraction, rounded to even, in the low bits. */
        uint32_t rounded = to_bits(from_bits(size) + 0.5f);
        return (uint16_t)(sign | (rounded - 0x3F000000));
    }
    size += 0xFFF + (size >> 13 & 1);
    return (uint16_t)(sign | ((size - 0x38000000) >> 13));
}

static uint16_t encode_bfloat(float x)
{
    uint32_t bits = to_bits(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40); /* stays a NaN */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint16_t load16(const void *bytes, size_t i)
{
    const unsigned char *b = (const unsigned char *)bytes + 2 * i;
    return (uint16_t)(b[0] | b[1] << 8);
}

void float16_decode(const void *bytes, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = decode_half(load16(bytes, i));
}

void bfloat16_decode(const void *bytes, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = from_bits((uint32_t)load16(bytes, i) << 16);
}

void float16_encode(const float *x, size_t n, uint16_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = encode_half(x[i]);
}

void bfloat16_encode(const float *x, size_t n, uint16_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = encode_bfloat(x[i]);
}
