#include "common/ckpt/weight_source.h"

#include <string.h>

static void read_memory(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const weights_in_memory *held = context;
    const param *p = &held->table->params[i_param];
    RT_ASSERT(first <= p->n && n <= p->n - first);
    memcpy(out, held->weights + p->offset + first, n * sizeof *out);
}

weight_source weights_in_memory_source(const weights_in_memory *held)
{
    return (weight_source){.table = held->table, .read = read_memory, .context = held};
}

void weight_source_read_all(const weight_source *source, float *weights)
{
    for (size_t i = 0; i < source->table->n_params; i++) {
        const param *p = &source->table->params[i];
        if (p->alias_of < 0) source->read(source->context, i, 0, p->n, weights + p->offset);
    }
}

size_t rotary_neighbour_row(size_t row, size_t d_head)
{
    size_t in_head = row % d_head, half = d_head / 2;
    return row - in_head + in_head % half * 2 + in_head / half;
}

size_t rotary_half_row(size_t row, size_t d_head)
{
    size_t in_head = row % d_head;
    return row - in_head + in_head % 2 * (d_head / 2) + in_head / 2;
}
