/* Where a model's weights come from: memory, a folder, a file of another program. Whatever writes
 * weights reads them through this, a piece at a time, so that a model larger than memory can be
 * converted.
 *
 *     weights_in_memory held = {.table = &table, .weights = w};
 *     weight_source source = weights_in_memory_source(&held);
 *     source.read(source.context, i_param, 0, n, out);
 */
#ifndef RT_CKPT_WEIGHT_SOURCE_H
#define RT_CKPT_WEIGHT_SOURCE_H

#include "common/nn/param_table.h"

/* Borrows what it points to. */
typedef struct weight_source {
    const param_table *table;
    /* Elements first .. first + n of params[i_param], row by row, into out[n]; not for an alias.
     * Everything was checked when the source was opened: this cannot fail. */
    void (*read)(const void *context, size_t i_param, size_t first, size_t n, float *out);
    const void *context;
} weight_source;

/* The flat vector of a model. Borrows both. */
typedef struct weights_in_memory {
    const param_table *table;
    const float *weights; /* [table->n_total] */
} weights_in_memory;

weight_source weights_in_memory_source(const weights_in_memory *held);

/* All of it at once: weights[table->n_total]. */
void weight_source_read_all(const weight_source *source, float *weights);

/* Rotary positions turn pairs of a head's rows. Hugging Face's layout pairs row c with row
 * c + d_head / 2 ("halves"), llama2.c and GGUF pair 2c with 2c + 1 ("neighbours"). Row of the
 * neighbours' layout where row `row` of a q or k matrix in halves' layout lies:
 *
 *     head * d_head + s * d_head / 2 + c   ->   head * d_head + 2 c + s
 */
size_t rotary_neighbour_row(size_t row, size_t d_head);
/* The way back. */
size_t rotary_half_row(size_t row, size_t d_head);

#endif
