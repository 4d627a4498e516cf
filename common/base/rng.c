#include "common/base/rng.h"

#include <math.h>
#include <string.h>

static void philox_round(uint32_t c[4], const uint32_t k[2])
{
    uint64_t a = (uint64_t)0xD2511F53u * c[0];
    uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                        (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
    memcpy(c, next, sizeof next);
}

rng_key rng_key_make(uint64_t seed, const char *stream, rt_id id, uint64_t epoch)
{
    struct {
        uint64_t seed, high, low, epoch;
    } fields = {seed, id.high, id.low, epoch};
    rt_id h = rt_id_of_two(stream, strlen(stream), &fields, sizeof fields);
    return (rng_key){.key = {(uint32_t)h.high, (uint32_t)(h.high >> 32)},
                     .prefix = {(uint32_t)h.low, (uint32_t)(h.low >> 32)}};
}

void rng_block(rng_key key, uint64_t i, uint32_t out[4])
{
    uint32_t k[2] = {key.key[0], key.key[1]};
    uint32_t c[4] = {(uint32_t)i, (uint32_t)(i >> 32), key.prefix[0], key.prefix[1]};
    for (int round = 0; round < 10; round++) {
        philox_round(c, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

uint64_t rng_u64(rng_key key, uint64_t i)
{
    uint32_t b[4];
    rng_block(key, i, b);
    return (uint64_t)b[1] << 32 | b[0];
}

float rng_uniform(rng_key key, uint64_t i)
{
    uint32_t b[4];
    rng_block(key, i, b);
    return (float)(b[0] >> 8) * 0x1p-24f;
}

float rng_normal(rng_key key, uint64_t i)
{
    uint32_t b[4];
    rng_block(key, i, b);
    double u = ((double)b[0] + 1.0) * 0x1p-32; /* (0, 1]: the logarithm is finite */
    double v = (double)b[1] * 0x1p-32;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint64_t rng_below(rng_key key, uint64_t i, uint64_t n)
{
    RT_ASSERT(n > 0);
    return (uint64_t)(((unsigned __int128)rng_u64(key, i) * n) >> 64);
}

void rng_permute(rng_key key, uint32_t *values, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(key, i, i);
        uint32_t t = values[i - 1];
        values[i - 1] = values[j];
        values[j] = t;
    }
}
