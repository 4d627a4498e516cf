/* What a shape costs before it exists: parameters, operations, memory. Pure arithmetic on the
 * config; no weights are made.
 *
 *     model_cost cost;
 *     model_workload work = {.n_seqs = 8, .n_prompt = 96, .n_target = 32};
 *     if ((st = model_cost_of(&config, &work, &cost, err)) != RT_OK) goto out;
 *     printf("%zu parameters\n", cost.params[MODEL_PART_ALL]);
 *
 * One multiplication with its addition counts as two operations (FLOPs). Counted are the matrix
 * products and attention (scores and their sums over values); norms, activations and softmax are
 * below a hundredth of that. A backward pass takes twice the forward: training is three times it.
 */
#ifndef RT_NN_MODEL_COST_H
#define RT_NN_MODEL_COST_H

#include "common/nn/model_config.h"

typedef enum model_part {
    MODEL_PART_EMBEDDING,
    MODEL_PART_ATTENTION, /* to the own sequence */
    MODEL_PART_CROSS,     /* of a decoder to its encoder */
    MODEL_PART_FEED_FORWARD,
    MODEL_PART_NORM,
    MODEL_PART_BIAS, /* of relative positions */
    MODEL_PART_HEAD, /* 0 when tied */
    MODEL_PART_ALL,
    MODEL_N_PARTS,
} model_part;
const char *model_part_name(model_part part);

/* Sequences that are read and trained on together: prompt, then target. */
typedef struct model_workload {
    size_t n_seqs, n_prompt, n_target; /* each > 0 */
} model_workload;

typedef struct model_cost {
    size_t params[MODEL_N_PARTS];
    /* Forward, for each token of the workload: without the head, and with it. */
    double flops_prompt_token, flops_target_token;
    /* Of the whole workload. */
    double flops_forward, flops_training;
    /* Bytes, float32. */
    double weight_bytes, gradient_bytes;
    double optimizer_bytes;  /* AdamW's two moments; held by the parameter server */
    double activation_bytes; /* of the tape for the workload, and the largest gradient on its way */
    /* Keys and values that decoding keeps: for each token of the prompt, and each that is written. */
    double cache_prompt_bytes, cache_target_bytes;
} model_cost;

/* RT_INVALID for a bad config or an empty workload. */
RT_MUST_USE rt_status model_cost_of(const model_config *config, const model_workload *work,
                                    model_cost *out, rt_error *err);

#endif
