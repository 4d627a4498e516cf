/* The matrix products of one training step, to time them by themselves: what a step would take if
 * nothing else were in it. */
#ifndef RT_BENCH_STEP_PRODUCTS_H
#define RT_BENCH_STEP_PRODUCTS_H

#include "bench/shapes.h"
#include "common/nn/gemm.h"

/* c[m, n] = op(a) op(b), `times` times in a step. */
typedef struct step_product {
    gemm_op op_a, op_b;
    size_t m, n, k;
    double times;
} step_product;

enum { STEP_PRODUCTS_MAX = 64 };

/* Forward and backward of every layer, of attention (a product for each head of each sequence, all
 * pairs of positions, as the peer counts them) and of the head. Returns how many. */
size_t step_products(const bench_shape *shape, step_product out[STEP_PRODUCTS_MAX]);

#endif
