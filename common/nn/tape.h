/* Tape: float32 matrices in an arena, and the list of operations to run backward over.
 *
 *     tape_begin(t, true);                       // forget the last step, record this one
 *     tensor *w = tape_param(t, weights, grads, 4, 8);
 *     tensor *y = op_linear(t, x, w);            // NULL once memory ran out: no check needed
 *     if ((st = tape_status(t, err)) != RT_OK) goto out;
 *     tape_inject(t, y, d_y);
 *     if ((st = tape_backward(t, err)) != RT_OK) goto out;
 *
 * An operation that runs out of memory returns NULL, and every operation given NULL returns NULL,
 * so a forward pass is written straight down and checked once at its end.
 *
 * In mode bf16 the numbers between a product and the next operation are bfloat16 alone, both ways
 * (`tape_activation`): half the memory, and no conversion. Operations reach them row by row as
 * float32 (rows.h), gated activations as they are (vec_gated.h).
 *
 * Values that backward does not need, or can make again for less than they cost to keep, are given
 * back during the forward pass (`tape_forget`).
 *
 * The gradient of a tensor is not zeroed first: the first operation to reach it overwrites, later
 * ones add (`tape_grad`). A gradient's buffer is taken back as soon as the operation that made its
 * tensor has run backward, so a step's gradients live in a few buffers that stay in cache.
 */
#ifndef RT_NN_TAPE_H
#define RT_NN_TAPE_H

#include "common/base/status.h"
#include "common/nn/compute.h"

/* Rows of a tensor and of its gradient are allocated in whole blocks of this many: a product may
 * write rows behind the last one (operand.h). Nothing may read them. */
#define TAPE_ROW_BLOCK 32

typedef struct tape tape;
typedef struct tensor tensor;

/* Fill x->data, or x->half, again with what it held; called between operations of the backward. */
typedef void tape_remake_fn(tape *t, tensor *x);

struct tensor {
    float *data;                /* [n_rows, n_cols], row-major; NULL when half, or forgotten */
    float *grad;                /* the same shape; NULL until the first write, unless a parameter */
    bool is_half;               /* an activation in mode bf16: half and half_grad serve instead */
    uint16_t *half, *half_grad; /* as data and grad */
    size_t n_rows;
    size_t n_cols;
    bool grad_written;          /* grad holds a value that later writers add to */
    bool frozen;                /* a parameter without gradient */
    bool is_param;              /* grad belongs to the caller and outlives the tape */
    const uint16_t *high, *low; /* data as bfloat16 once a product asked for it (operand.h) */
    tape_remake_fn *remake;     /* how to fill data again; NULL: it is kept */
    void *remake_args;
};

/* Inverts one operation: reads out->grad, adds to the gradients of its inputs. */
typedef void tape_backward_fn(tape *t, void *args, tensor *out);

/* Returns new; freed with tape_free(). */
RT_MUST_USE rt_status tape_new(tape **out, rt_error *err);
void tape_free(tape *t);

/* Start a step: everything of the last one is gone. Without `record` nothing can run backward. */
void tape_begin(tape *t, bool record);
bool tape_records(const tape *t);
/* RT_NOMEM once any allocation of this step failed. */
RT_MUST_USE rt_status tape_status(const tape *t, rt_error *err);

/* The mode of this tape's matrix products, resolved; COMPUTE_F32 at first. */
void tape_set_compute(tape *t, compute_mode mode);
compute_mode tape_compute(const tape *t);
size_t tape_padded_rows(size_t n_rows);

/* Memory for one operation, from what was given back, else new; NULL when out of memory. Starts at a line
 * of the cache. */
void *tape_take(tape *t, size_t n_bytes);
/* Give it back with the same size. */
void tape_give(tape *t, void *data, size_t n_bytes);

/* Memory of this step; NULL when out of memory, which the tape remembers. Not cleared. */
void *tape_alloc(tape *t, size_t n, size_t size);
/* A new tensor with uninitialised data. */
tensor *tape_tensor(tape *t, size_t n_rows, size_t n_cols);
/* A tensor that one product writes or reads, and one other operation: in mode bf16 half, else as
 * above. Its rows behind the last are zero when half. */
tensor *tape_activation(tape *t, size_t n_rows, size_t n_cols);
/* Nothing of this forward pass reads the numbers of x any more. What backward reads of them must come
 * from x->remake, or be in x->high unless x is half. */
void tape_forget(tape *t, tensor *x);
bool tape_forgotten(const tensor *x);
/* Make a forgotten x again; tape_forget() gives it back. Leaves it forgotten when out of memory. */
void tape_recall(tape *t, tensor *x);
/* A tensor over the caller's weights and gradients. `grads` NULL: frozen. */
tensor *tape_param(tape *t, float *weights, float *grads, size_t n_rows, size_t n_cols);
/* Remember how to invert the operation that made `out`. Keeps args until the next tape_begin(). */
void tape_push(tape *t, tape_backward_fn *backward, void *args, tensor *out);
/* The same for an operation that wrote its result over its input x and does likewise with x->grad. */
void tape_push_in_place(tape *t, tape_backward_fn *backward, void *args, tensor *x);

/* Gradient buffer of x for a writer: *add tells whether to add (true) or to overwrite the whole of
 * it (false). NULL when x takes no gradient or memory ran out. */
float *tape_grad(tape *t, tensor *x, bool *add);
/* Gradient buffer of a half tensor, to overwrite. NULL when memory ran out. */
uint16_t *tape_half_grad(tape *t, tensor *x);
/* The same as tape_grad, zero-filled at first use, for writers that touch only some rows. */
float *tape_grad_sparse(tape *t, tensor *x);
/* Hand the gradient buffer of `from`, which is not needed any more, to x: no copy when x is free. */
void tape_grad_move(tape *t, tensor *from, tensor *x);

/* Add d_x[n_rows * n_cols] to the gradient of any tensor of the trace, before tape_backward(). */
void tape_inject(tape *t, tensor *x, const float *d_x);
/* Run every recorded operation backward, last first. */
RT_MUST_USE rt_status tape_backward(tape *t, rt_error *err);

#endif
