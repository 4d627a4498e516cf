#include <math.h>

#include "common/nn/ops/gated.h"
#include "common/nn/ops/ops.h"
#include "common/nn/vec_gated.h"

/* With x = [g | u]: y = gelu(g) u, so d_u = d_y gelu(g) and d_g = d_y u gelu'(g). */
tensor *op_gated_gelu(tape *t, tensor *x)
{
    static const gated_kernel kernel = {vec_gated_gelu, vec_gated_gelu_backward,
                                        row_gated_gelu_half, row_gated_gelu_backward_half};
    return op_gated(t, x, &kernel);
}

void gated_gelu_reference(const float *x, size_t n, size_t d_ff, float *y)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < d_ff; c++) {
            double gate = x[2 * i * d_ff + c], up = x[2 * i * d_ff + d_ff + c];
            double inner = sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate);
            y[i * d_ff + c] = (float)(gate / 2 * (1 + tanh(inner)) * up);
        }
    }
}
