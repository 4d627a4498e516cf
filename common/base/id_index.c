#include "common/base/id_index.h"

#include <stdlib.h>

#include "common/base/bytes.h"

void id_index_free(id_index *index)
{
    if (index == NULL) return;
    free(index->ids);
    free(index->slots);
    *index = (id_index){0};
}

/* Ids are hashes already, but they also come from files that others wrote: mix both halves. */
static size_t slot_of(rt_id id, size_t n_slots)
{
    uint64_t h = (id.low ^ (id.high * UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(h >> 32) & (n_slots - 1);
}

/* The slot that holds `id`, or the empty one where it would go. */
static size_t probe(const rt_id *ids, const uint32_t *slots, size_t n_slots, rt_id id)
{
    size_t s = slot_of(id, n_slots);
    while (slots[s] != 0 && !rt_id_equal(ids[slots[s] - 1], id)) s = (s + 1) & (n_slots - 1);
    return s;
}

size_t id_index_find(const id_index *index, rt_id id)
{
    if (index->n == 0) return SIZE_MAX;
    uint32_t place = index->slots[probe(index->ids, index->slots, index->n_slots, id)];
    return place == 0 ? SIZE_MAX : place - 1;
}

static rt_status grow_ids(id_index *index, rt_error *err)
{
    if (index->n < index->capacity) return RT_OK;
    size_t capacity = index->capacity == 0 ? 64 : index->capacity + index->capacity / 2;
    rt_id *ids = realloc(index->ids, capacity * sizeof *ids);
    if (ids == NULL) return rt_fail(err, RT_NOMEM, "index of %zu ids", capacity);
    index->ids = ids;
    index->capacity = capacity;
    return RT_OK;
}

/* Keep the table at most two thirds full. */
static rt_status grow_slots(id_index *index, rt_error *err)
{
    if (index->n_slots > 0 && (index->n + 1) * 3 <= index->n_slots * 2) return RT_OK;
    size_t n_slots = index->n_slots == 0 ? 128 : index->n_slots * 2;
    uint32_t *slots = rt_calloc(n_slots, sizeof *slots);
    if (slots == NULL) return rt_fail(err, RT_NOMEM, "index of %zu slots", n_slots);
    for (size_t i = 0; i < index->n; i++)
        slots[probe(index->ids, slots, n_slots, index->ids[i])] = (uint32_t)(i + 1);
    free(index->slots);
    index->slots = slots;
    index->n_slots = n_slots;
    return RT_OK;
}

rt_status id_index_add(id_index *index, rt_id id, size_t *i, bool *added, rt_error *err)
{
    rt_status st;
    size_t found = id_index_find(index, id);
    if (found != SIZE_MAX) {
        *i = found;
        *added = false;
        return RT_OK;
    }
    if (index->n >= UINT32_MAX - 1)
        return rt_fail(err, RT_FULL, "index of ids: %zu are in it, the most it can hold", index->n);
    if ((st = grow_ids(index, err)) != RT_OK) return st;
    if ((st = grow_slots(index, err)) != RT_OK) return st;
    index->ids[index->n] = id;
    index->slots[probe(index->ids, index->slots, index->n_slots, id)] = (uint32_t)(index->n + 1);
    *i = index->n++;
    *added = true;
    return RT_OK;
}
