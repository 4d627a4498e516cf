#include "common/nn/vec.h"

#include <math.h>
#include <string.h>

#include "common/nn/lanes.h"

static inline float add_up(lanes v)
{
    float sum[LANES];
    memcpy(sum, &v, sizeof v);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

/* exp(x) = 2^k * e^r with k = round(x / ln 2), |r| <= ln 2 / 2, e^r by its Taylor polynomial. */
static inline lanes exp_lanes(lanes x)
{
    const float round_bits = 0x1.8p23f; /* adding it leaves the rounded integer in the low bits */
    int_lanes under = x < -87.3f;       /* results below the normal range are 0 */
    int_lanes over = x > 88.3f;
    int_lanes keep = ~(under | over);
    lanes y = (lanes)((int_lanes)x & keep);
    lanes shifted = y * 1.44269504f + round_bits;
    lanes k = shifted - round_bits;
    lanes r = y - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    lanes p = lanes_splat(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int_lanes power = ((int_lanes)shifted - 0x4B400000 + 127) << 23;
    lanes value = p * (lanes)power;
    lanes infinite = lanes_splat(INFINITY);
    return (lanes)(((int_lanes)value & keep) | ((int_lanes)infinite & over));
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

static inline lanes sigmoid_lanes(lanes g)
{
    return 1.0f / (1.0f + exp_lanes(-g));
}

void vec_swiglu(const float *gate, const float *up, float *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes g = lanes_load(gate + i);
        lanes_store(out + i, g * sigmoid_lanes(g) * lanes_load(up + i));
    }
    if (i < n) {
        lanes g = lanes_load_part(gate + i, n - i, 0);
        lanes y = g * sigmoid_lanes(g) * lanes_load_part(up + i, n - i, 0);
        memcpy(out + i, &y, (n - i) * sizeof *out);
    }
}

/* silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g). */
static inline void swiglu_back(lanes g, lanes u, lanes d, lanes *d_g, lanes *d_u)
{
    lanes s = sigmoid_lanes(g);
    *d_g = d * u * (s * (1.0f + g * (1.0f - s)));
    *d_u = d * (g * s);
}

void vec_swiglu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                         float *d_up, size_t n)
{
    size_t i = 0;
    lanes d_g, d_u;
    for (; i + LANES <= n; i += LANES) {
        swiglu_back(lanes_load(gate + i), lanes_load(up + i), lanes_load(d_out + i), &d_g, &d_u);
        lanes_store(d_gate + i, d_g);
        lanes_store(d_up + i, d_u);
    }
    if (i < n) {
        size_t n_left = n - i;
        swiglu_back(lanes_load_part(gate + i, n_left, 0), lanes_load_part(up + i, n_left, 0),
                    lanes_load_part(d_out + i, n_left, 0), &d_g, &d_u);
        memcpy(d_gate + i, &d_g, n_left * sizeof *d_gate);
        memcpy(d_up + i, &d_u, n_left * sizeof *d_up);
    }
}

#define GELU_SCALE 1.59576912f /* 2 sqrt(2 / pi) */
#define GELU_CUBE  0.044715f

static inline lanes gelu_gate(lanes g)
{
    return sigmoid_lanes(GELU_SCALE * g * (1.0f + GELU_CUBE * g * g));
}

void vec_gated_gelu(const float *gate, const float *up, float *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes g = lanes_load(gate + i);
        lanes_store(out + i, g * gelu_gate(g) * lanes_load(up + i));
    }
    if (i < n) {
        lanes g = lanes_load_part(gate + i, n - i, 0);
        lanes y = g * gelu_gate(g) * lanes_load_part(up + i, n - i, 0);
        memcpy(out + i, &y, (n - i) * sizeof *out);
    }
}

/* With s = sigmoid(u(g)): gelu'(g) = s + g s (1 - s) u'(g). */
static inline void gelu_back(lanes g, lanes u, lanes d, lanes *d_g, lanes *d_u)
{
    lanes s = gelu_gate(g);
    lanes slope = GELU_SCALE * (1.0f + 3.0f * GELU_CUBE * g * g);
    *d_g = d * u * (s + g * s * (1.0f - s) * slope);
    *d_u = d * (g * s);
}

void vec_gated_gelu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                             float *d_up, size_t n)
{
    size_t i = 0;
    lanes d_g, d_u;
    for (; i + LANES <= n; i += LANES) {
        gelu_back(lanes_load(gate + i), lanes_load(up + i), lanes_load(d_out + i), &d_g, &d_u);
        lanes_store(d_gate + i, d_g);
        lanes_store(d_up + i, d_u);
    }
    if (i < n) {
        size_t n_left = n - i;
        gelu_back(lanes_load_part(gate + i, n_left, 0), lanes_load_part(up + i, n_left, 0),
                  lanes_load_part(d_out + i, n_left, 0), &d_g, &d_u);
        memcpy(d_gate + i, &d_g, n_left * sizeof *d_gate);
        memcpy(d_up + i, &d_u, n_left * sizeof *d_up);
    }
}
