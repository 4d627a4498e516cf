/* How fast this machine multiplies, found out by doing it.
 *
 *     gemm_speed s;
 *     if ((st = gemm_speed_measure(COMPUTE_BF16, 512, 512, 512, 0.1, &s, err)) != RT_OK) goto out;
 *     printf("%g GFLOP/s\n", s.best * 1e-9);
 */
#ifndef RT_NN_GEMM_SPEED_H
#define RT_NN_GEMM_SPEED_H

#include <stddef.h>

#include "common/base/status.h"
#include "common/nn/compute.h"

/* In operations a second; a multiplication with its addition counts as two. */
typedef struct gemm_speed {
    double mean;
    double best; /* of single products: what others that use the processor leave least touched */
} gemm_speed;

/**
 * y[m, n] = x[m, k] w[n, k]^T again and again for about `seconds`, after once to wake threads.
 *
 * `mode` is one that compute_mode_resolve() gives. RT_NOMEM.
 */
RT_MUST_USE rt_status gemm_speed_measure(compute_mode mode, size_t m, size_t n, size_t k,
                                         double seconds, gemm_speed *out, rt_error *err);

#endif
