/* The slots of a table need bits for its places only; what is left of their 32 holds bits of the hash,
 * so that an id that is not there is seldom compared with another, far away in memory:
 *
 *     hash of the id ──► slot = hash * n_slots / 2^64        (any number of slots, not only powers of two)
 *                   └──► tag  = its low bits                  slots[slot] = tag | place + 1
 */
#include "common/base/id_index.h"

#include <stdlib.h>

#include "common/base/bytes.h"

#define N_SLOTS_MIN 96

/* A table of slots, whoever owns it. */
typedef struct slot_table {
    uint32_t *slots;
    size_t n_slots;
    unsigned n_place_bits;
} slot_table;

void id_index_free(id_index *index)
{
    if (index == NULL) return;
    free(index->ids);
    free(index->slots);
    *index = (id_index){0};
}

/* Ids are hashes already, but they also come from files that others wrote: mix both halves. */
static uint64_t hash_of(rt_id id)
{
    uint64_t h = (id.low ^ (id.high * UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xD6E8FEB86659FD93);
    h ^= h >> 32;
    return h * UINT64_C(0x9E3779B97F4A7C15);
}

static slot_table table_of(const id_index *index)
{
    return (slot_table){index->slots, index->n_slots, index->n_place_bits};
}

static uint32_t tag_of(const slot_table *t, uint64_t hash)
{
    return t->n_place_bits >= 32 ? 0 : (uint32_t)hash << t->n_place_bits;
}

static size_t place_of(const slot_table *t, uint32_t slot)
{
    uint32_t mask = t->n_place_bits >= 32 ? UINT32_MAX : (UINT32_C(1) << t->n_place_bits) - 1;
    return (size_t)(slot & mask) - 1;
}

/* The slot that holds `id`, or the empty one where it would go. */
static size_t probe(const rt_id *ids, const slot_table *t, rt_id id, uint64_t hash)
{
    uint32_t tag = tag_of(t, hash);
    size_t s = (size_t)(((unsigned __int128)hash * t->n_slots) >> 64);
    for (uint32_t slot; (slot = t->slots[s]) != 0; s = s + 1 == t->n_slots ? 0 : s + 1) {
        bool same_tag = t->n_place_bits >= 32 || (slot ^ tag) >> t->n_place_bits == 0;
        if (same_tag && rt_id_equal(ids[place_of(t, slot)], id)) break;
    }
    return s;
}

size_t id_index_find(const id_index *index, rt_id id)
{
    if (index->n == 0) return SIZE_MAX;
    slot_table t = table_of(index);
    uint32_t slot = t.slots[probe(index->ids, &t, id, hash_of(id))];
    return slot == 0 ? SIZE_MAX : place_of(&t, slot);
}

static rt_status resize_ids(id_index *index, size_t capacity, rt_error *err)
{
    rt_id *ids = realloc(index->ids, capacity * sizeof *ids);
    if (ids == NULL) return rt_fail(err, RT_NOMEM, "index of %zu ids", capacity);
    index->ids = ids;
    index->capacity = capacity;
    return RT_OK;
}

static rt_status grow_ids(id_index *index, rt_error *err)
{
    if (index->n < index->capacity) return RT_OK;
    return resize_ids(index, index->capacity < 64 ? 64 : index->capacity + index->capacity / 2,
                      err);
}

/* A new table for the ids that are there. */
static rt_status make_slots(id_index *index, size_t n_slots, rt_error *err)
{
    slot_table t = {.n_slots = n_slots, .n_place_bits = 1};
    while (n_slots >> t.n_place_bits != 0) t.n_place_bits++;
    t.slots = rt_calloc(n_slots, sizeof *t.slots);
    if (t.slots == NULL) return rt_fail(err, RT_NOMEM, "index of %zu slots", n_slots);
    for (size_t i = 0; i < index->n; i++) {
        uint64_t hash = hash_of(index->ids[i]);
        t.slots[probe(index->ids, &t, index->ids[i], hash)] = tag_of(&t, hash) | (uint32_t)(i + 1);
    }
    free(index->slots);
    index->slots = t.slots;
    index->n_slots = t.n_slots;
    index->n_place_bits = t.n_place_bits;
    return RT_OK;
}

/* Keep the table at most three quarters full. */
static rt_status grow_slots(id_index *index, rt_error *err)
{
    if (index->n_slots > 0 && (index->n + 1) * 4 <= index->n_slots * 3) return RT_OK;
    return make_slots(index,
                      index->n_slots == 0 ? N_SLOTS_MIN : index->n_slots + index->n_slots / 2, err);
}

rt_status id_index_reserve(id_index *index, size_t n, rt_error *err)
{
    rt_status st = RT_OK;
    if (n >= UINT32_MAX) return rt_fail(err, RT_FULL, "index of %zu ids", n);
    if (n > index->capacity) st = resize_ids(index, n, err);
    size_t n_slots = n / 3 * 4 + 4;
    return st == RT_OK && n_slots > index->n_slots ? make_slots(index, n_slots, err) : st;
}

rt_status id_index_add(id_index *index, rt_id id, size_t *i, bool *added, rt_error *err)
{
    rt_status st;
    uint64_t hash = hash_of(id);
    if ((st = grow_slots(index, err)) != RT_OK) return st;
    slot_table t = table_of(index);
    size_t s = probe(index->ids, &t, id, hash);
    if (t.slots[s] != 0) {
        *i = place_of(&t, t.slots[s]);
        *added = false;
        return RT_OK;
    }
    if (index->n >= UINT32_MAX - 1)
        return rt_fail(err, RT_FULL, "index of ids: %zu are in it, the most it can hold", index->n);
    if ((st = grow_ids(index, err)) != RT_OK) return st;
    index->ids[index->n] = id;
    t.slots[s] = tag_of(&t, hash) | (uint32_t)(index->n + 1);
    *i = index->n++;
    *added = true;
    return RT_OK;
}

/* Half an id, and where the whole of it is. */
typedef struct sort_key {
    uint64_t high;
    uint64_t place;
} sort_key;

static int compare_keys(const void *a, const void *b, void *context)
{
    const rt_id *ids = context;
    const sort_key *x = a, *y = b;
    if (x->high != y->high) return x->high < y->high ? -1 : 1;
    return rt_id_compare(ids[x->place], ids[y->place]);
}

rt_status id_index_sort(id_index *index, uint32_t **order, rt_error *err)
{
    size_t n = index->n;
    sort_key *keys = rt_calloc(n, sizeof *keys);
    uint32_t *places = rt_calloc(n, sizeof *places);
    if (keys == NULL || places == NULL) {
        free(keys);
        free(places);
        return rt_fail(err, RT_NOMEM, "order of %zu ids", n);
    }
    for (size_t i = 0; i < n; i++) keys[i] = (sort_key){index->ids[i].high, i};
    qsort_r(keys, n, sizeof *keys, compare_keys, index->ids);
    for (size_t i = 0; i < n; i++) {
        places[i] = (uint32_t)keys[i].place;
        keys[i].place = index->ids[places[i]].low; /* a key is the whole id from here on */
    }
    for (size_t i = 0; i < n; i++) index->ids[i] = (rt_id){keys[i].high, keys[i].place};
    free(keys);
    *order = places;
    if (n == 0) return RT_OK;
    rt_status st = make_slots(index, index->n_slots, err);
    if (st == RT_OK) return RT_OK;
    free(places);
    return st;
}
