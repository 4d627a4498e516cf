#include "common/nn/vec_gated.h"

#include <string.h>

#include "common/nn/exp_lanes.h"

#define GELU_SCALE 1.59576912f /* 2 sqrt(2 / pi) */
#define GELU_CUBE  0.044715f

/* One vector of an activation. They are constants where the frames below get them, so each use is a
 * loop of its own. */
typedef lanes forward_lanes(lanes g, lanes u);
typedef void backward_lanes(lanes g, lanes u, lanes d, lanes *d_g, lanes *d_u);

LANES_INLINE lanes sigmoid_lanes(lanes g)
{
    return 1.0f / (1.0f + exp_lanes(-g));
}

LANES_INLINE lanes swiglu(lanes g, lanes u)
{
    return g * sigmoid_lanes(g) * u;
}

/* silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g). */
LANES_INLINE void swiglu_back(lanes g, lanes u, lanes d, lanes *d_g, lanes *d_u)
{
    lanes s = sigmoid_lanes(g);
    *d_g = d * u * (s * (1.0f + g * (1.0f - s)));
    *d_u = d * (g * s);
}

LANES_INLINE lanes gelu_gate(lanes g)
{
    return sigmoid_lanes(GELU_SCALE * g * (1.0f + GELU_CUBE * g * g));
}

LANES_INLINE lanes gelu(lanes g, lanes u)
{
    return g * gelu_gate(g) * u;
}

/* With s = sigmoid(u(g)): gelu'(g) = s + g s (1 - s) u'(g). */
LANES_INLINE void gelu_back(lanes g, lanes u, lanes d, lanes *d_g, lanes *d_u)
{
    lanes s = gelu_gate(g);
    lanes slope = GELU_SCALE * (1.0f + 3.0f * GELU_CUBE * g * g);
    *d_g = d * u * (s + g * s * (1.0f - s) * slope);
    *d_u = d * (g * s);
}

/* ---- float32 ---------------------------------------------------------------------------- */

LANES_INLINE void forward(forward_lanes *act, const float *gate, const float *up, float *out,
                          size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(out + i, act(lanes_load(gate + i), lanes_load(up + i)));
    if (i == n) return;
    lanes y = act(lanes_load_part(gate + i, n - i, 0), lanes_load_part(up + i, n - i, 0));
    memcpy(out + i, &y, (n - i) * sizeof *out);
}

LANES_INLINE void backward(backward_lanes *act, const float *gate, const float *up,
                           const float *d_out, float *d_gate, float *d_up, size_t n)
{
    size_t i = 0;
    lanes d_g, d_u;
    for (; i + LANES <= n; i += LANES) {
        act(lanes_load(gate + i), lanes_load(up + i), lanes_load(d_out + i), &d_g, &d_u);
        lanes_store(d_gate + i, d_g);
        lanes_store(d_up + i, d_u);
    }
    if (i == n) return;
    size_t n_left = n - i;
    act(lanes_load_part(gate + i, n_left, 0), lanes_load_part(up + i, n_left, 0),
        lanes_load_part(d_out + i, n_left, 0), &d_g, &d_u);
    memcpy(d_gate + i, &d_g, n_left * sizeof *d_gate);
    memcpy(d_up + i, &d_u, n_left * sizeof *d_up);
}

void vec_swiglu(const float *gate, const float *up, float *out, size_t n)
{
    forward(swiglu, gate, up, out, n);
}

void vec_swiglu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                         float *d_up, size_t n)
{
    backward(swiglu_back, gate, up, d_out, d_gate, d_up, n);
}

void vec_gated_gelu(const float *gate, const float *up, float *out, size_t n)
{
    forward(gelu, gate, up, out, n);
}

void vec_gated_gelu_backward(const float *gate, const float *up, const float *d_out, float *d_gate,
                             float *d_up, size_t n)
{
    backward(gelu_back, gate, up, d_out, d_gate, d_up, n);
}

/* ---- rows of bfloat16 ------------------------------------------------------------------- */

/* Memory is slower than the arithmetic, and a processor that fetches ahead by itself stops at the end
 * of a page, which a row [gate | up] often is: so the same place of the next row is asked for. Behind
 * the last row this is in vain, and harmless. */
LANES_INLINE void ask_ahead(const bf16 *x, size_t d, const bf16 *y)
{
    __builtin_prefetch(x + 2 * d, 0, 2);
    __builtin_prefetch(x + 3 * d, 0, 2);
    __builtin_prefetch(y + d, 0, 2);
}

/* Numbers next to each other come as two vectors, of every other one: it is all the same here. */
LANES_INLINE void forward_group(forward_lanes *act, const bf16 *gate, const bf16 *up, bf16 *y)
{
    lanes g[2], u[2];
    lanes_widen(gate, &g[0], &g[1]);
    lanes_widen(up, &u[0], &u[1]);
    lanes_narrow(y, act(g[0], u[0]), act(g[1], u[1]));
}

LANES_INLINE void backward_group(backward_lanes *act, const bf16 *gate, const bf16 *up,
                                 const bf16 *d_y, bf16 *d_gate, bf16 *d_up)
{
    lanes g[2], u[2], d[2], d_g[2], d_u[2];
    lanes_widen(gate, &g[0], &g[1]);
    lanes_widen(up, &u[0], &u[1]);
    lanes_widen(d_y, &d[0], &d[1]);
    for (size_t i = 0; i < 2; i++) act(g[i], u[i], d[i], &d_g[i], &d_u[i]);
    lanes_narrow(d_gate, d_g[0], d_g[1]);
    lanes_narrow(d_up, d_u[0], d_u[1]);
}

LANES_INLINE void forward_half(forward_lanes *act, const bf16 *x, size_t d, bf16 *y)
{
    size_t i = 0;
    bf16 last[3][LANES_GROUP] = {{0}};
    for (; i + LANES_GROUP <= d; i += LANES_GROUP) {
        ask_ahead(x + i, d, y + i);
        forward_group(act, x + i, x + d + i, y + i);
    }
    if (i == d) return;
    size_t n_bytes = (d - i) * sizeof *y;
    memcpy(last[0], x + i, n_bytes);
    memcpy(last[1], x + d + i, n_bytes);
    forward_group(act, last[0], last[1], last[2]);
    memcpy(y + i, last[2], n_bytes);
}

LANES_INLINE void backward_half(backward_lanes *act, const bf16 *x, const bf16 *d_y, size_t d,
                                bf16 *d_x)
{
    size_t i = 0;
    bf16 last[5][LANES_GROUP] = {{0}};
    for (; i + LANES_GROUP <= d; i += LANES_GROUP) {
        ask_ahead(x + i, d, d_y + i);
        backward_group(act, x + i, x + d + i, d_y + i, d_x + i, d_x + d + i);
    }
    if (i == d) return;
    size_t n_bytes = (d - i) * sizeof *d_x;
    memcpy(last[0], x + i, n_bytes);
    memcpy(last[1], x + d + i, n_bytes);
    memcpy(last[2], d_y + i, n_bytes);
    backward_group(act, last[0], last[1], last[2], last[3], last[4]);
    memcpy(d_x + i, last[3], n_bytes);
    memcpy(d_x + d + i, last[4], n_bytes);
}

void row_swiglu_half(const bf16 *x, size_t d, bf16 *y)
{
    forward_half(swiglu, x, d, y);
}

void row_swiglu_backward_half(const bf16 *x, const bf16 *d_y, size_t d, bf16 *d_x)
{
    backward_half(swiglu_back, x, d_y, d, d_x);
}

void row_gated_gelu_half(const bf16 *x, size_t d, bf16 *y)
{
    forward_half(gelu, x, d, y);
}

void row_gated_gelu_backward_half(const bf16 *x, const bf16 *d_y, size_t d, bf16 *d_x)
{
    backward_half(gelu_back, x, d_y, d, d_x);
}
