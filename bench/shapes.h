/* The models and batches that the benchmarks of the model library share with the PyTorch peer.
 *
 *     a   T5 v1.1   d 256, 6 + 6 layers, ff 1024 gated, 4 heads of 64, vocabulary 8000; 16 x (128 + 64)
 *     b   Llama     d 384, 6 layers, ff 1024, 6 heads of 64, vocabulary 8000; 8 x 256
 *     c   T5 v1.1   small: d 512, 8 + 8 layers, 6 heads of 64, vocabulary 32128; 8 x (128 + 64)
 */
#ifndef RT_BENCH_SHAPES_H
#define RT_BENCH_SHAPES_H

#include "common/nn/model.h"

typedef struct bench_shape {
    model_config config;
    packed_batch batch;      /* random ids */
    size_t n_tokens_counted; /* tokens of a step as the peer counts them */
    double gflop_step;       /* products of forward and backward, 2 per multiply-add */
    uint32_t *ids;           /* owns */
    packed_seq *seqs;        /* owns */
} bench_shape;

/* RT_INVALID for a name that is none of the above. Free with bench_shape_free(). */
RT_MUST_USE rt_status bench_shape_get(char name, bench_shape *out, rt_error *err);
void bench_shape_free(bench_shape *shape);

#endif
