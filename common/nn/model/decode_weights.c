#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/heap.h"
#include "common/nn/gemm.h"
#include "common/nn/model/decode_rows.h"
#include "common/nn/packed_matrix.h"

/* Panels of entries [i, i + n), made anew when the weights have changed; NULL without memory. The
 * caller holds m->packing. */
static const void *pack(model *m, size_t i, size_t n, size_t d_out, size_t d_in)
{
    if (m->packed == NULL) m->packed = rt_calloc(m->table.n_params, sizeof *m->packed);
    if (m->packed == NULL) return NULL;
    packed_weights *p = &m->packed[i];
    if (p->panels == NULL) {
        p->panels = rt_heap_tensors(packed_matrix_bytes(d_out, d_in, m->halves_decode));
        if (p->panels == NULL) return NULL;
        p->n_params = n;
    } else if (p->version == m->weights_version) {
        RT_ASSERT(p->n_params == n);
        return p->panels;
    }
    packed_matrix_fill(m->weights + m->table.params[i].offset, d_out, d_in, m->halves_decode,
                       p->panels);
    p->version = m->weights_version;
    return p->panels;
}

/* Views share the panels of the replica whose weights they read. */
static const void *panels_of(model *m, size_t i, size_t n, size_t d_out, size_t d_in)
{
    model *owner = m->owner != NULL ? m->owner : m;
    RT_ASSERT(pthread_mutex_lock(&owner->packing) == 0);
    const void *panels = pack(owner, i, n, d_out, d_in);
    RT_ASSERT(pthread_mutex_unlock(&owner->packing) == 0);
    return panels;
}

void rows_linear(model *m, size_t i, size_t n_params, size_t n, const float *x, float *y)
{
    const param *first = &m->table.params[i];
    size_t d_out = 0, d_in = first->shape[1];
    RT_ASSERT(first->n_dims == 2);
    for (size_t k = i; k < i + n_params; k++) d_out += m->table.params[k].shape[0];
    const void *panels = panels_of(m, i, n_params, d_out, d_in);
    if (panels != NULL)
        packed_matrix_times(n, x, d_in, panels, m->halves_decode, d_out, y);
    else
        gemm(GEMM_N, GEMM_T, n, d_out, d_in, 1, x, d_in, m->weights + first->offset, d_in, 0, y,
             d_out);
}

void model_packed_free(model *m)
{
    for (size_t i = 0; m->packed != NULL && i < m->table.n_params; i++) free(m->packed[i].panels);
    free(m->packed);
    m->packed = NULL;
}
