/* A model replica: weights in, loss and gradient out.
 *
 *     model *m = NULL;
 *     if ((st = model_new(&config, &m, err)) != RT_OK) goto out;
 *     memcpy(model_weights(m), pulled, model_table(m)->n_total * sizeof(float));
 *     if ((st = model_gradient(m, &batch, &spec, &report, err)) != RT_OK) goto out;
 *     push(model_grads(m));
 *
 * One replica serves one thread. All buffers are kept between calls; a step allocates nothing once
 * the largest batch was seen.
 */
#ifndef RT_NN_MODEL_H
#define RT_NN_MODEL_H

#include "common/nn/compute.h"
#include "common/nn/packed_batch.h"
#include "common/nn/param_table.h"

typedef struct model model;

/* One task of the step-by-step loss. The loss of a *step* is
 *     L = sum_k weight_k * S_k / C_k
 * with S_k the weighted token cross-entropy summed over the whole step and C_k `count`, the
 * weighted token count of the whole step, which travels with each micro-batch. A micro-batch
 * returns its own part of S_k and scales its gradient by weight_k / C_k, so any split over workers
 * adds up to the same gradient. Source: Hsieh et al. 2023, arXiv:2305.02301, section 3.2. */
typedef struct loss_task {
    float weight;
    double count; /* C_k > 0, or 0 when the step has no token of this task */
} loss_task;

typedef struct loss_spec {
    loss_task tasks[LOSS_TASKS_MAX];
    size_t n_tasks;
} loss_spec;

/* Sums, never means: means are formed once, over the whole step. */
typedef struct loss_sums {
    double loss[LOSS_TASKS_MAX];      /* S_k: sum of weight * token cross-entropy, in nats */
    double count[LOSS_TASKS_MAX];     /* sum of weights of the target tokens seen */
    uint64_t n_seqs[LOSS_TASKS_MAX];  /* sequences seen */
    uint64_t n_exact[LOSS_TASKS_MAX]; /* sequences whose every target token was the arg max */
} loss_sums;

/* Returns new, weights all zero; freed with model_free(). RT_INVALID for a bad config. */
RT_MUST_USE rt_status model_new(const model_config *config, model **out, rt_error *err);
void model_free(model *m);
/* A second replica, for another thread, that reads the weights of `of` and gives no gradient. Keeps
 * `of`, whose weights must not change meanwhile. Returns new; freed with model_free(). */
RT_MUST_USE rt_status model_new_view(model *of, model **out, rt_error *err);

const model_config *model_get_config(const model *m);
const param_table *model_table(const model *m);
/* Freeze or thaw one entry of the table: a frozen one gets gradient 0. */
void model_set_frozen(model *m, size_t i_param, bool frozen);
/* [n_total], table order. Write the weights here before a forward pass, and call this again before
 * every later change: it is how the model knows that what it derived from them is stale. Valid until
 * model_free(). */
float *model_weights(model *m);
/* Numbers that model_gradient(), model_evaluate() and model_score() multiply; f32 at first. Takes a
 * mode from compute_mode_resolve(). RT_NOMEM. */
RT_MUST_USE rt_status model_set_compute(model *m, compute_mode mode, rt_error *err);
compute_mode model_compute(const model *m);
/* Whether decoding keeps weights, keys and values in bfloat16: half the bytes to read for a token, on
 * every processor. Arithmetic stays float32. Before anything is decoded, and before views are made. */
void model_decode_in_halves(model *m, bool on);
/* [n_total], the result of the last model_gradient(). Valid until the next one. */
const float *model_grads(const model *m);

/* What of it is not 0 in the embedding. Borrowed as model_grads() is. */
typedef struct grad_rows {
    size_t i_param;      /* in the table */
    const uint32_t *ids; /* [n] ascending */
    size_t n;
} grad_rows;
/* False when the gradient is dense: the head reads the embedding too. */
bool model_grad_rows(const model *m, grad_rows *out);

/* Forward and backward over one micro-batch. Gradients are overwritten, not added. Dropout is on.
 * RT_CORRUPT for a bad batch, RT_INVALID for a bad spec, RT_NOMEM; on error *out is untouched. */
RT_MUST_USE rt_status model_gradient(model *m, const packed_batch *batch, const loss_spec *spec,
                                     loss_sums *out, rt_error *err);
/* Forward only, dropout off. */
RT_MUST_USE rt_status model_evaluate(model *m, const packed_batch *batch, const loss_spec *spec,
                                     loss_sums *out, rt_error *err);

/* Threads that this process's kernels use (ours and BLAS's). Call before the first model. A fixed
 * number repeats bit for bit. */
void nn_set_threads(size_t n_threads);
/* Name of the kernel chosen at run time for matrix products, for reports. */
const char *nn_blas_name(void);

#endif
