#include "common/nn/vec.h"

#include <math.h>
#include <string.h>

#include "common/nn/exp_lanes.h"

static inline float add_up(lanes v)
{
    float sum[LANES];
    memcpy(sum, &v, sizeof v);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

float vec_exp1(float x)
{
    return exp_lanes(lanes_splat(x))[0];
}

float vec_max(const float *x, size_t n)
{
    lanes best = lanes_splat(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes v = lanes_load(x + i);
        int_lanes more = v > best;
        best = (lanes)(((int_lanes)v & more) | ((int_lanes)best & ~more));
    }
    float all[LANES];
    memcpy(all, &best, sizeof best);
    float top = -INFINITY;
    for (size_t j = 0; j < LANES; j++) top = all[j] > top ? all[j] : top;
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}

float vec_dot(const float *a, const float *b, size_t n)
{
    lanes sum = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) sum += lanes_load(a + i) * lanes_load(b + i);
    if (i < n) sum += lanes_load_part(a + i, n - i, 0) * lanes_load_part(b + i, n - i, 0);
    return add_up(sum);
}

float vec_dot3(const float *a, const float *b, const float *c, size_t n)
{
    lanes sum = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum += lanes_load(a + i) * lanes_load(b + i) * lanes_load(c + i);
    if (i < n)
        sum += lanes_load_part(a + i, n - i, 0) * lanes_load_part(b + i, n - i, 0) *
               lanes_load_part(c + i, n - i, 0);
    return add_up(sum);
}

void vec_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void vec_axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

void vec_scale(float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] *= a;
}

/* Four vectors of columns stay in registers while the rows go by. */
void vec_weighted_rows(const float *weights, const float *rows, size_t n_rows, size_t ld,
                       size_t n_cols, float *out)
{
    size_t c = 0;
    for (; c + 4 * LANES <= n_cols; c += 4 * LANES) {
        lanes sum[4] = {{0}, {0}, {0}, {0}};
        for (size_t j = 0; j < n_rows; j++)
            for (size_t k = 0; k < 4; k++)
                sum[k] += weights[j] * lanes_load(rows + j * ld + c + k * LANES);
        for (size_t k = 0; k < 4; k++) lanes_store(out + c + k * LANES, sum[k]);
    }
    for (; c + LANES <= n_cols; c += LANES) {
        lanes sum = {0};
        for (size_t j = 0; j < n_rows; j++) sum += weights[j] * lanes_load(rows + j * ld + c);
        lanes_store(out + c, sum);
    }
    if (c < n_cols) {
        lanes sum = {0};
        for (size_t j = 0; j < n_rows; j++)
            sum += weights[j] * lanes_load_part(rows + j * ld + c, n_cols - c, 0);
        memcpy(out + c, &sum, (n_cols - c) * sizeof *out);
    }
}

float vec_exp_sum(float *x, size_t n, float shift)
{
    lanes sum = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes e = exp_lanes(lanes_load(x + i) - shift);
        lanes_store(x + i, e);
        sum += e;
    }
    if (i < n) {
        lanes e = exp_lanes(lanes_load_part(x + i, n - i, -INFINITY) - shift);
        memcpy(x + i, &e, (n - i) * sizeof *x);
        sum += e;
    }
    return add_up(sum);
}
