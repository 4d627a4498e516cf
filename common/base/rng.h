/* Counter-based random numbers: a value is a pure function of (key, counter).
 *
 * Nothing has a state to share or to lose. Whoever computes dropout for record r in epoch e gets
 * the same numbers, whichever worker it is and in whatever order (design.md §5).
 *
 *     rng_key key = rng_key_make(seed, "dropout", record_id, epoch);
 *     float u = rng_uniform(key, i);          // i-th number of this stream
 *
 * Generator: Philox4x32-10. Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers:
 * as easy as 1, 2, 3", section 3.3.
 */
#ifndef RT_BASE_RNG_H
#define RT_BASE_RNG_H

#include "common/base/hash.h"

typedef struct rng_key {
    uint32_t key[2];    /* Philox key */
    uint32_t prefix[2]; /* upper half of the Philox counter; the lower half is the caller's */
} rng_key;

/* Key of one stream. `stream` names the use ("dropout", "permute", "sample"). */
rng_key rng_key_make(uint64_t seed, const char *stream, rt_id id, uint64_t epoch);

/* Four 32-bit words for counter value `i`. */
void rng_block(rng_key key, uint64_t i, uint32_t out[4]);
uint64_t rng_u64(rng_key key, uint64_t i);
/* Uniform in [0, 1), 24 bits. */
float rng_uniform(rng_key key, uint64_t i);
/* Standard normal by Box-Muller. */
float rng_normal(rng_key key, uint64_t i);
/* Uniform in [0, n), n > 0, by multiply-shift (bias below n / 2^64). */
uint64_t rng_below(rng_key key, uint64_t i, uint64_t n);
/* Fisher-Yates over values[0..n). */
void rng_permute(rng_key key, uint32_t *values, size_t n);

#endif
