#include <string.h>

#include "common/nn/ops/ops.h"
#include "common/nn/vec.h"

typedef struct embed_args {
    tensor *table;
    const uint32_t *ids;
} embed_args;

/* d_table[ids[i], :] += d_y[i, :], in token order. */
static void embed_backward(tape *t, void *args, tensor *out)
{
    embed_args *a = args;
    float *d_table = tape_grad_sparse(t, a->table);
    size_t d = out->n_cols;
    if (d_table == NULL) return;
    for (size_t i = 0; i < out->n_rows; i++) vec_add(d_table + a->ids[i] * d, out->grad + i * d, d);
}

tensor *op_embed(tape *t, tensor *table, const uint32_t *ids, size_t n)
{
    if (table == NULL) return NULL;
    size_t d = table->n_cols;
    tensor *out = tape_tensor(t, n, d);
    embed_args *a = tape_alloc(t, 1, sizeof *a);
    if (out == NULL || a == NULL) return NULL;
    for (size_t i = 0; i < n; i++)
        memcpy(out->data + i * d, table->data + ids[i] * d, d * sizeof(float));
    *a = (embed_args){.table = table, .ids = ids};
    tape_push(t, embed_backward, a, out);
    return out;
}
