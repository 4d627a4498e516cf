/* Content ids in the order they came, and the way back from an id to its place.
 *
 *     id_index ids = {0};
 *     if ((st = id_index_add(&ids, id, &i, &added, err)) != RT_OK) goto out;
 *     i = id_index_find(&ids, id);          // SIZE_MAX when absent
 *     id_index_free(&ids);
 *
 * Open addressing with linear probing over places, not over ids: 16 bytes an id, and 5.3 to 8 for its
 * slot. Owners keep what belongs to an id in arrays of their own, by place.
 */
#ifndef RT_BASE_ID_INDEX_H
#define RT_BASE_ID_INDEX_H

#include "common/base/hash.h"

/* Zero-initialise; ids[0..n) may be read by anyone. */
typedef struct id_index {
    rt_id *ids;
    size_t n;
    size_t capacity;
    uint32_t *slots; /* 0 is empty; else some bits of the id's hash above place + 1 */
    size_t n_slots;
    unsigned n_place_bits;
} id_index;

void id_index_free(id_index *index);
/* Place of an id, or SIZE_MAX. */
size_t id_index_find(const id_index *index, rt_id id);
/* Add an id unless it is there; *i is its place, *added whether it is new. RT_NOMEM, or RT_FULL at
 * 2^32 - 2 ids; on failure nothing changed. */
RT_MUST_USE rt_status id_index_add(id_index *index, rt_id id, size_t *i, bool *added,
                                   rt_error *err);
/* Make room for n ids in all, so that adding them moves nothing. */
RT_MUST_USE rt_status id_index_reserve(id_index *index, size_t n, rt_error *err);
/* Put the ids in ascending order. (*order)[i] is the old place of the id that is at place i now, for
 * owners to move what belongs to it; freed with free(). Takes 20 to 36 bytes an id while it works. */
RT_MUST_USE rt_status id_index_sort(id_index *index, uint32_t **order, rt_error *err);

#endif
