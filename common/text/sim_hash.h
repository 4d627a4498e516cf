/* Texts that say nearly the same, found by 64 bits each.
 *
 *     uint64_t h;
 *     if ((st = sim_hash(&units, &h, err)) != RT_OK) goto out;
 *     uint32_t twin = sim_index_find(index, h);       // SIM_NONE: there is none so far
 *     if (twin == SIM_NONE) st = sim_index_add(index, h, i, err);
 *
 *     bit b of the hash = 1 where  sum over the features f of the text of (bit b of hash(f) ? 1 : -1) > 0
 *
 * The features are the distinct words (text_units.h) and the distinct pairs of words side by side, so
 * that "the" counts once however often it comes. For texts whose features make an angle theta each bit
 * differs with probability theta / pi: few bits differ where few features do. At most SIM_NEAR bits of 64
 * count as nearly the same: letter case, punctuation, words that change places, a word in a long text.
 * The texts are not kept.
 * Source: Charikar 2002, "Similarity estimation techniques from rounding algorithms", section 3; Manku,
 * Jain & Das Sarma 2007, "Detecting near-duplicates for web crawling", section 3 (blocks of bits, one
 * of which must be equal).
 * Checked by: tests/unit/text/test_sim_hash.c
 */
#ifndef RT_TEXT_SIM_HASH_H
#define RT_TEXT_SIM_HASH_H

#include "common/text/text_units.h"

#define SIM_NEAR 3
#define SIM_NONE UINT32_MAX

/* 0 for a text without words. The same on every machine. */
RT_MUST_USE rt_status sim_hash(const text_units *units, uint64_t *out, rt_error *err);
/* Bits that differ. */
unsigned sim_hash_distance(uint64_t a, uint64_t b);

/* Hashes with a number each: 32 bytes a hash, and a megabyte. */
typedef struct sim_index sim_index;
/* Returns new; sim_index_free(). */
RT_MUST_USE rt_status sim_index_new(sim_index **out, rt_error *err);
void sim_index_free(sim_index *ix);
/* The number of the hash that was added first among those at most SIM_NEAR bits away. */
uint32_t sim_index_find(const sim_index *ix, uint64_t hash);
RT_MUST_USE rt_status sim_index_add(sim_index *ix, uint64_t hash, uint32_t number, rt_error *err);

#endif
