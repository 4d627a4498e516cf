/* Content ids in the order they came, and the way back from an id to its place.
 *
 *     id_index ids = {0};
 *     if ((st = id_index_add(&ids, id, &i, &added, err)) != RT_OK) goto out;
 *     i = id_index_find(&ids, id);          // SIZE_MAX when absent
 *     id_index_free(&ids);
 *
 * Open addressing with linear probing over places, not over ids: 16 bytes an id and 6 to 12 a slot.
 * Owners keep what belongs to an id in arrays of their own, by place.
 */
#ifndef RT_BASE_ID_INDEX_H
#define RT_BASE_ID_INDEX_H

#include "common/base/hash.h"

/* Zero-initialise; ids[0..n) may be read by anyone. */
typedef struct id_index {
    rt_id *ids;
    size_t n;
    size_t capacity;
    uint32_t *slots; /* place + 1; 0 is empty; n_slots is a power of two */
    size_t n_slots;
} id_index;

void id_index_free(id_index *index);
/* Place of an id, or SIZE_MAX. */
size_t id_index_find(const id_index *index, rt_id id);
/* Add an id unless it is there; *i is its place, *added whether it is new. RT_NOMEM, or RT_FULL at
 * 2^32 - 2 ids; on failure nothing changed. */
RT_MUST_USE rt_status id_index_add(id_index *index, rt_id id, size_t *i, bool *added,
                                   rt_error *err);

#endif
