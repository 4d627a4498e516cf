/* The inside of a model replica, shared by model.c and the architectures. */
#ifndef RT_NN_MODEL_MODEL_STATE_H
#define RT_NN_MODEL_MODEL_STATE_H

#include "common/nn/model/arch.h"

struct model {
    model_config config;
    param_table table;
    const arch *arch;
    bool is_view;   /* weights and angles belong to another replica; grads is NULL */
    float *weights; /* [table.n_total] */
    float *grads;   /* [table.n_total] */
    float *angles;  /* [seq_len_max, d_head], see rope_angles() */
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

/* Columns of the head's matrix: width of the rows that it reads. */
size_t model_head_width(const model *m);

#endif
