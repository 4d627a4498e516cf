/* The inside of a model replica, shared by model.c and the architectures. */
#ifndef RT_NN_MODEL_MODEL_STATE_H
#define RT_NN_MODEL_MODEL_STATE_H

#include <pthread.h>

#include "common/nn/gemm_bf16.h"
#include "common/nn/model/arch.h"
#include "common/nn/model/touched_rows.h"

/* Entries of the table from one on, packed together. */
typedef struct packed_weights {
    void *panels; /* NULL: not packed */
    size_t n_params;
    uint64_t version; /* weights_version that they were made of */
} packed_weights;

struct model {
    model_config config;
    param_table table;
    const arch *arch;
    struct model
        *owner;     /* of weights, panels and angles, when this is a view of it; grads is NULL */
    float *weights; /* [table.n_total] */
    float *grads;   /* [table.n_total] */
    int i_input;    /* param_table_input_only() */
    touched_rows touched;             /* of its gradient, which is 0 elsewhere; unused with -1 */
    uint64_t weights_version;         /* counts calls of model_weights() */
    compute_mode compute;             /* of training, evaluation and reading prompts */
    bool halves_decode;               /* decoding keeps weights, keys and values in bfloat16 */
    bf16 *weights_high, *weights_low; /* [table.n_total], NULL unless the mode reads them */
    pthread_mutex_t packing; /* guards packed and what it points to, but for finished panels */
    packed_weights *packed;  /* [table.n_params], for decoding; NULL until the first product */
    uint64_t halves_version; /* weights_version that they were made of */
    float *angles;           /* [seq_len_max, d_head], see rope_angles() */
    tape *tape;
    tensor **used; /* parameters that this step has put on the tape */
    size_t n_used;
    bool with_grads; /* this step wants gradients */
};

/* Start a pass: an empty tape, no parameter on it yet. */
void model_begin(model *m, bool with_grads);

/* Entries [i, i + n) of the table, which lie side by side, as one matrix on the tape: q, k and v
 * are one product. Entries of one dimension are a single row. */
tensor *model_param(model *m, size_t i, size_t n);

/* The weights packed by rows_linear() (decode_rows.h). */
void model_packed_free(model *m);
/* Columns of the head's matrix: width of the rows that it reads. */
size_t model_head_width(const model *m);

#endif
