/* Gated activations over vectors, y = act(gate) * up, of float32 and of bfloat16, with
 *
 *     swiglu       act(g) = g * sigmoid(g)
 *     gated_gelu   act(g) = g * sigmoid(2 sqrt(2 / pi) (g + 0.044715 g^3)), which is gelu_new
 *
 * (Shazeer 2020, "GLU Variants Improve Transformer"). d_gate and d_up are overwritten. Buffers need no
 * alignment and may not overlap.
 *
 * Those of bfloat16 take a row x = [gate | up] of 2 d numbers, compute in float32 and round once: the
 * bits are those of the float32 ones between two conversions. Checked by: tests/unit/nn/test_vec_gated.c
 */
#ifndef RT_NN_VEC_GATED_H
#define RT_NN_VEC_GATED_H

#include <stddef.h>

#include "common/nn/gemm_bf16.h"

void vec_swiglu(const float *gate, const float *up, float *out, size_t n);
void vec_swiglu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                         float *d_up, size_t n);
void row_swiglu_half(const bf16 *x, size_t d, bf16 *y);
void row_swiglu_backward_half(const bf16 *x, const bf16 *d_y, size_t d, bf16 *d_x);

void vec_gated_gelu(const float *gate, const float *up, float *out, size_t n);
void vec_gated_gelu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                             float *d_up, size_t n);
void row_gated_gelu_half(const bf16 *x, size_t d, bf16 *y);
void row_gated_gelu_backward_half(const bf16 *x, const bf16 *d_y, size_t d, bf16 *d_x);

#endif
