#include "common/nn/gemm_speed.h"

#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/nn/gemm_bf16.h"

/* Operands in the numbers of the mode: only its own are there. */
typedef struct product {
    size_t m, n, k;
    float *x, *w, *y;
    bf16 *x_half, *w_half;
} product;

static void product_free(product *p)
{
    free(p->x);
    free(p->w);
    free(p->y);
    free(p->x_half);
    free(p->w_half);
}

static float *filled(size_t n, float value)
{
    float *out = rt_calloc(n, sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++) out[i] = value;
    return out;
}

static bf16 *halved(const float *x, size_t n)
{
    bf16 *out = rt_calloc(n, sizeof *out);
    if (out != NULL) bf16_from_f32(x, n, out);
    return out;
}

static bool product_make(product *p, bool half)
{
    p->x = filled(p->m * p->k, 0.5f);
    p->w = filled(p->n * p->k, 0.25f);
    p->y = filled(p->m * p->n, 0);
    if (p->x == NULL || p->w == NULL || p->y == NULL) return false;
    if (!half) return true;
    p->x_half = halved(p->x, p->m * p->k);
    p->w_half = halved(p->w, p->n * p->k);
    return p->x_half != NULL && p->w_half != NULL;
}

static void multiply(product *p, compute_mode mode)
{
    bf16_parts x = {p->x_half, p->x_half}, w = {p->w_half, p->w_half};
    if (mode == COMPUTE_BF16X3)
        gemm_bf16x3(GEMM_N, GEMM_T, p->m, p->n, p->k, x, p->k, w, p->k, 0, p->y, p->n);
    else if (mode == COMPUTE_BF16)
        gemm_bf16(GEMM_N, GEMM_T, p->m, p->n, p->k, p->x_half, p->k, p->w_half, p->k, 0, p->y,
                  p->n);
    else
        gemm(GEMM_N, GEMM_T, p->m, p->n, p->k, 1, p->x, p->k, p->w, p->k, 0, p->y, p->n);
}

rt_status gemm_speed_measure(compute_mode mode, size_t m, size_t n, size_t k, double seconds,
                             gemm_speed *out, rt_error *err)
{
    product p = {.m = m, .n = n, .k = k};
    double each = 2.0 * (double)m * (double)n * (double)k;
    double n_done = 0, best_s = 0;
    if (!product_make(&p, mode != COMPUTE_F32)) {
        product_free(&p);
        return rt_fail(err, RT_NOMEM, "product of %zu by %zu by %zu", m, n, k);
    }
    multiply(&p, mode);
    double start_s = rt_clock_mono_s(), last_s = start_s;
    while (last_s - start_s < seconds || n_done == 0) {
        multiply(&p, mode);
        double now_s = rt_clock_mono_s(), took_s = now_s - last_s;
        if (took_s > 0 && (best_s == 0 || took_s < best_s)) best_s = took_s;
        last_s = now_s;
        n_done++;
    }
    product_free(&p);
    *out = (gemm_speed){.mean = last_s > start_s ? n_done * each / (last_s - start_s) : 0,
                        .best = best_s > 0 ? each / best_s : 0};
    return RT_OK;
}
