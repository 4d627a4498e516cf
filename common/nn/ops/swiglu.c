#include <math.h>

#include "common/nn/ops/gated.h"
#include "common/nn/ops/ops.h"
#include "common/nn/vec_gated.h"

/* With x = [g | u] and s = sigmoid(g): y = g s u, so d_u = d_y g s and d_g = d_y u s (1 + g (1 - s)). */
tensor *op_swiglu(tape *t, tensor *x)
{
    static const gated_kernel kernel = {vec_swiglu, vec_swiglu_backward, row_swiglu_half,
                                        row_swiglu_backward_half};
    return op_gated(t, x, &kernel);
}

void swiglu_reference(const float *x, size_t n, size_t d_ff, float *y)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < d_ff; c++) {
            double gate = x[2 * i * d_ff + c], up = x[2 * i * d_ff + d_ff + c];
            y[i * d_ff + c] = (float)(gate / (1 + exp(-gate)) * up);
        }
    }
}
