/* Lengths of the records that a plan is cut from, packed: of each its place in the corpus, and two
 * numbers for each task that any of them has. Part of plan.c.
 *
 *     i_example (4) | n_tokens n_target of the first task | of the second | ...      2 bytes each,
 *                                                             or 4 once a number does not fit into 2
 */
#ifndef RT_DATASET_PLAN_STORE_H
#define RT_DATASET_PLAN_STORE_H

#include "common/dataset/plan.h"

/* How rows are laid out: what is needed for a set of records. */
typedef struct plan_layout {
    bool has[TASK_COUNT];
    bool wide;
} plan_layout;

/* Zero-initialise; plan_store_free(). */
typedef struct plan_store {
    plan_layout layout;
    size_t n_row_bytes;
    unsigned char *rows;
    size_t n, capacity;
} plan_store;

void plan_store_free(plan_store *s);
/* Add to a layout what a record needs. */
void plan_layout_see(plan_layout *layout, const plan_record *r);
/* Make room for n_more records of a layout; those that are there are packed anew when it differs. On
 * failure nothing changed. */
RT_MUST_USE rt_status plan_store_reserve(plan_store *s, const plan_layout *layout, size_t n_more,
                                         rt_error *err);
/* There is room for it. */
void plan_store_add(plan_store *s, const plan_record *r);
void plan_store_get(const plan_store *s, size_t i, plan_record *out);

#endif
