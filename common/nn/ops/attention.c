#include <math.h>
#include <string.h>

#include "common/nn/gemm.h"
#include "common/nn/ops/ops.h"
#include "common/nn/parallel.h"
#include "common/nn/vec.h"

/* Query rows whose probabilities exist at one time. */
#define BLOCK_ROWS 64

/* A job is one (span, key head): it alone writes the gradient of its keys and values. The work
 * space of a thread holds two blocks [BLOCK_ROWS, longest span].
 *
 *   fused row     | q head 0 .. q head H-1 | k head 0 .. k head G-1 | v head 0 .. v head G-1 |
 */
typedef struct attention_args {
    tensor *qkv;
    head_shape shape;
    const row_span *spans;
    size_t n_spans;
    float *log_sums; /* [n_heads, n_tokens], log-sum-exp of each row's scaled scores */
    float *work;     /* [threads, 2, BLOCK_ROWS, n_longest] */
    size_t n_work;   /* floats of one thread */
    size_t ld;       /* row length of a block */
} attention_args;

/* One query head of one span, as pointers into the fused matrix (or its gradient). */
typedef struct head_view {
    float *q, *k, *v;
} head_view;

static head_view view_head(float *fused, head_shape s, size_t n_cols, size_t first, size_t head)
{
    size_t group = s.n_heads / s.n_kv_heads, kv = head / group;
    float *row = fused + first * n_cols;
    return (head_view){.q = row + head * s.d_head,
                       .k = row + (s.n_heads + kv) * s.d_head,
                       .v = row + (s.n_heads + s.n_kv_heads + kv) * s.d_head};
}

/* scores[m, n_keys] = scale * q k^T for query rows [row, row + m). */
static void block_scores(const attention_args *a, head_view view, size_t row, size_t m,
                         size_t n_keys, float *scores)
{
    size_t n_cols = a->qkv->n_cols, d = a->shape.d_head;
    gemm(GEMM_N, GEMM_T, m, n_keys, d, 1.0f / sqrtf((float)d), view.q + row * n_cols, n_cols,
         view.k, n_cols, 0, scores, a->ld);
}

/* Forward of one head: blocks of query rows from the first to the last. */
static void head_forward(const attention_args *a, size_t i_span, size_t head, float *work, float *y)
{
    row_span span = a->spans[i_span];
    size_t n_cols = a->qkv->n_cols, d = a->shape.d_head, d_y = a->shape.n_heads * d;
    head_view view = view_head(a->qkv->data, a->shape, n_cols, span.first, head);
    float *log_sums = a->log_sums + head * a->qkv->n_rows + span.first;
    for (size_t row = 0; row < span.n; row += BLOCK_ROWS) {
        size_t m = RT_MIN((size_t)BLOCK_ROWS, span.n - row), n_keys = row + m;
        block_scores(a, view, row, m, n_keys, work);
        for (size_t i = 0; i < m; i++) {
            float *p = work + i * a->ld;
            size_t n_seen = row + i + 1;
            float top = vec_max(p, n_seen);
            float sum = vec_exp_sum(p, n_seen, top);
            vec_scale(p, 1.0f / sum, n_seen);
            memset(p + n_seen, 0, (n_keys - n_seen) * sizeof *p);
            log_sums[row + i] = top + logf(sum);
        }
        gemm(GEMM_N, GEMM_N, m, d, n_keys, 1, work, a->ld, view.v, n_cols, 0,
             y + (span.first + row) * d_y + head * d, d_y);
    }
}

/* One block of the backward: with p the probabilities and D_i = d_y_i . y_i,
 *   d_v += p^T d_y     d_s = p (d_y v^T - D) / sqrt(d)     d_q = d_s k     d_k += d_s^T q
 * @param beta  0 when d_k and d_v hold nothing yet. */
static void block_backward(const attention_args *a, head_view view, head_view d_view, size_t row,
                           size_t m, const float *log_sums, const float *y, const float *d_y,
                           float beta, float *work)
{
    size_t n_cols = a->qkv->n_cols, d = a->shape.d_head, ld_y = a->shape.n_heads * d;
    size_t n_keys = row + m, ld = a->ld;
    float scale = 1.0f / sqrtf((float)d);
    float *p = work, *d_s = work + BLOCK_ROWS * ld;
    block_scores(a, view, row, m, n_keys, p);
    gemm(GEMM_N, GEMM_T, m, n_keys, d, 1, d_y + row * ld_y, ld_y, view.v, n_cols, 0, d_s, ld);
    for (size_t i = 0; i < m; i++) {
        size_t n_seen = row + i + 1;
        float *p_row = p + i * ld, *s_row = d_s + i * ld;
        vec_exp_sum(p_row, n_seen, log_sums[row + i]);
        float mean = vec_dot(y + (row + i) * ld_y, d_y + (row + i) * ld_y, d);
        for (size_t j = 0; j < n_seen; j++) s_row[j] = p_row[j] * (s_row[j] - mean) * scale;
        memset(p_row + n_seen, 0, (n_keys - n_seen) * sizeof *p_row);
        memset(s_row + n_seen, 0, (n_keys - n_seen) * sizeof *s_row);
    }
    gemm(GEMM_T, GEMM_N, n_keys, d, m, 1, p, ld, d_y + row * ld_y, ld_y, beta, d_view.v, n_cols);
    gemm(GEMM_N, GEMM_N, m, d, n_keys, 1, d_s, ld, view.k, n_cols, 0, d_view.q + row * n_cols,
         n_cols);
    gemm(GEMM_T, GEMM_N, n_keys, d, m, 1, d_s, ld, view.q + row * n_cols, n_cols, beta, d_view.k,
         n_cols);
}

/* Last block first: it reaches every key, so it may overwrite and the others add. */
static void head_backward(const attention_args *a, const tensor *out, float *d_qkv, size_t i_span,
                          size_t head, float *work)
{
    row_span span = a->spans[i_span];
    size_t n_cols = a->qkv->n_cols, d = a->shape.d_head, ld_y = a->shape.n_heads * d;
    size_t group = a->shape.n_heads / a->shape.n_kv_heads;
    head_view view = view_head(a->qkv->data, a->shape, n_cols, span.first, head);
    head_view d_view = view_head(d_qkv, a->shape, n_cols, span.first, head);
    const float *log_sums = a->log_sums + head * a->qkv->n_rows + span.first;
    const float *y = out->data + span.first * ld_y + head * d;
    const float *d_y = out->grad + span.first * ld_y + head * d;
    float beta = head % group == 0 ? 0 : 1;
    for (size_t n_left = span.n; n_left > 0;) {
        size_t row = (n_left - 1) / BLOCK_ROWS * BLOCK_ROWS;
        block_backward(a, view, d_view, row, n_left - row, log_sums, y, d_y, beta, work);
        beta = 1;
        n_left = row;
    }
}

static void attention_backward(tape *t, void *args, tensor *out)
{
    attention_args *a = args;
    bool add = false;
    float *d_qkv = tape_grad(t, a->qkv, &add);
    if (d_qkv == NULL) return;
    RT_ASSERT(!add); /* the fused matrix has one reader */
    size_t group = a->shape.n_heads / a->shape.n_kv_heads;
    size_t n_jobs = a->n_spans * a->shape.n_kv_heads;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++) {
        float *work = a->work + parallel_thread() * a->n_work;
        size_t i_span = job / a->shape.n_kv_heads, kv = job % a->shape.n_kv_heads;
        for (size_t head = kv * group; head < (kv + 1) * group; head++)
            head_backward(a, out, d_qkv, i_span, head, work);
    }
}

tensor *op_attention(tape *t, tensor *qkv, head_shape shape, const row_span *spans, size_t n_spans)
{
    if (qkv == NULL) return NULL;
    RT_ASSERT(qkv->n_cols == head_shape_cols(shape) && shape.n_heads % shape.n_kv_heads == 0);
    attention_args *a = tape_alloc(t, 1, sizeof *a);
    tensor *out = tape_tensor(t, qkv->n_rows, shape.n_heads * shape.d_head);
    if (a == NULL || out == NULL) return NULL;
    *a = (attention_args){.qkv = qkv, .shape = shape, .spans = spans, .n_spans = n_spans};
    for (size_t i = 0; i < n_spans; i++) a->ld = RT_MAX(a->ld, spans[i].n);
    a->ld = (a->ld + 15) / 16 * 16;
    a->n_work = 2 * BLOCK_ROWS * a->ld;
    a->work = tape_alloc(t, parallel_threads() * a->n_work, sizeof *a->work);
    a->log_sums = tape_alloc(t, shape.n_heads * qkv->n_rows, sizeof *a->log_sums);
    if (a->work == NULL || a->log_sums == NULL) return NULL;
    size_t n_jobs = n_spans * shape.n_heads;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++)
        head_forward(a, job / shape.n_heads, job % shape.n_heads,
                     a->work + parallel_thread() * a->n_work, out->data);
    tape_push(t, attention_backward, a, out);
    return out;
}

void attention_reference(const float *qkv, head_shape s, const row_span *spans, size_t n_spans,
                         float *y)
{
    size_t n_cols = head_shape_cols(s), d = s.d_head, group = s.n_heads / s.n_kv_heads;
    for (size_t job = 0; job < n_spans * s.n_heads; job++) {
        row_span span = spans[job / s.n_heads];
        size_t head = job % s.n_heads, kv = s.n_heads + head / group;
        const float *row = qkv + span.first * n_cols;
        for (size_t i = 0; i < span.n; i++) {
            const float *q = row + i * n_cols + head * d;
            float *out = y + (span.first + i) * s.n_heads * d + head * d;
            double total = 0;
            memset(out, 0, d * sizeof *out);
            for (size_t j = 0; j <= i; j++) {
                const float *k = row + j * n_cols + kv * d, *v = k + s.n_kv_heads * d;
                double score = 0;
                for (size_t c = 0; c < d; c++) score += (double)q[c] * k[c];
                double e = exp(score / sqrt((double)d));
                total += e;
                for (size_t c = 0; c < d; c++) out[c] += (float)(e * v[c]);
            }
            for (size_t c = 0; c < d; c++) out[c] = (float)(out[c] / total);
        }
    }
}
