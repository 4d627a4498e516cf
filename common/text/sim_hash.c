/* The index: hashes that differ in at most 3 bits are equal in one of four blocks of 16 bits.
 *
 *     first[block][16 bits] ─► entry ─► next[block] ─► ...     a chain for each value of each block
 *
 * A chain is looked at whole. Among a million hashes it has some fifteen entries, more where many texts
 * share a block without being near: slower then, never wrong.
 */
#include "common/text/sim_hash.h"

#include <stdlib.h>
#include <string.h>

#define SIM_WORDS    2 /* longest run of words that is a feature */
#define BLOCKS       4
#define BLOCK_VALUES 65536
_Static_assert(BLOCKS > SIM_NEAR, "one block must be free of differing bits");

typedef struct entry {
    uint64_t hash;
    uint32_t number;
    uint32_t next[BLOCKS]; /* SIM_NONE: the last of its chain */
} entry;

struct sim_index {
    entry *entries;
    size_t n, capacity;
    uint32_t first[BLOCKS][BLOCK_VALUES];
};

rt_status sim_hash(const text_units *units, uint64_t *out, rt_error *err)
{
    int64_t sums[64] = {0};
    uint64_t hash = 0;
    for (size_t length = 1; length <= SIM_WORDS; length++) {
        uint64_t *runs = NULL;
        size_t n = 0;
        rt_status st = text_units_distinct_runs(units, length, &runs, &n, err);
        if (st != RT_OK) return st;
        for (size_t i = 0; i < n; i++)
            for (int b = 0; b < 64; b++) sums[b] += (runs[i] >> b & 1) != 0 ? 1 : -1;
        free(runs);
    }
    for (int b = 0; b < 64; b++)
        if (sums[b] > 0) hash |= UINT64_C(1) << b;
    *out = hash;
    return RT_OK;
}

unsigned sim_hash_distance(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

rt_status sim_index_new(sim_index **out, rt_error *err)
{
    sim_index *ix = rt_calloc(1, sizeof *ix);
    if (ix == NULL) return rt_fail(err, RT_NOMEM, "index of near duplicates");
    memset(ix->first, 0xFF, sizeof ix->first);
    *out = ix;
    return RT_OK;
}

void sim_index_free(sim_index *ix)
{
    if (ix == NULL) return;
    free(ix->entries);
    free(ix);
}

static size_t block_of(uint64_t hash, int block)
{
    return (size_t)(hash >> (16 * block) & (BLOCK_VALUES - 1));
}

uint32_t sim_index_find(const sim_index *ix, uint64_t hash)
{
    uint32_t i_found = SIM_NONE; /* entries are numbered in the order in which they came */
    for (int k = 0; k < BLOCKS; k++)
        for (uint32_t i = ix->first[k][block_of(hash, k)]; i != SIM_NONE;
             i = ix->entries[i].next[k])
            if (i < i_found && sim_hash_distance(ix->entries[i].hash, hash) <= SIM_NEAR)
                i_found = i;
    return i_found == SIM_NONE ? SIM_NONE : ix->entries[i_found].number;
}

rt_status sim_index_add(sim_index *ix, uint64_t hash, uint32_t number, rt_error *err)
{
    if (ix->n == ix->capacity) {
        size_t capacity = ix->capacity == 0 ? 256 : ix->capacity * 2;
        entry *bigger =
            capacity < SIM_NONE ? realloc(ix->entries, capacity * sizeof *bigger) : NULL;
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "index of %zu texts", capacity);
        ix->entries = bigger;
        ix->capacity = capacity;
    }
    entry *e = &ix->entries[ix->n];
    *e = (entry){.hash = hash, .number = number};
    for (int k = 0; k < BLOCKS; k++) {
        uint32_t *first = &ix->first[k][block_of(hash, k)];
        e->next[k] = *first;
        *first = (uint32_t)ix->n;
    }
    ix->n++;
    return RT_OK;
}
