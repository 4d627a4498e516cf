/* The frame of swiglu and gated_gelu: y = act(gate) * up for rows x = [gate | up]. */
#ifndef RT_NN_OPS_GATED_H
#define RT_NN_OPS_GATED_H

#include "common/nn/gemm_bf16.h"
#include "common/nn/tape.h"

typedef struct gated_kernel {
    /* out = act(gate) * up */
    void (*forward)(const float *gate, const float *up, float *out, size_t n);
    /* d_gate and d_up of it, overwritten */
    void (*backward)(const float *gate, const float *up, const float *d_out, float *d_gate,
                     float *d_up, size_t n);
    /* the same of a row x = [gate | up] of bfloat16 */
    void (*forward_half)(const bf16 *x, size_t d, bf16 *y);
    void (*backward_half)(const bf16 *x, const bf16 *d_y, size_t d, bf16 *d_x);
} gated_kernel;

/* Keeps the kernel. The result is an activation that can be made again (tape_forget). */
tensor *op_gated(tape *t, tensor *x, const gated_kernel *kernel);

#endif
