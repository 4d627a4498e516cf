#include <math.h>
#include <string.h>

#include "common/nn/gemm.h"
#include "common/nn/ops/attention_head.h"
#include "common/nn/vec.h"

/* Heads are read and written where they lie in their matrices. Work space: two blocks of scores
 * [ATTENTION_ROWS, ld], and with a bias the gradient of each offset. */

static size_t row_length(const attention_args *a)
{
    return (a->n_keys + 15) / 16 * 16;
}

static size_t work_floats(const attention_args *a)
{
    return 2 * ATTENTION_ROWS * row_length(a) + a->bias.n;
}

/* One query head of one span, as pointers into the matrices (or their gradients). */
typedef struct head_view {
    float *q, *k, *v;
    size_t ld_q, ld_kv;
    size_t n_queries;
} head_view;

static head_view view_head(const attention_args *a, float *q, float *kv, size_t i_span, size_t head)
{
    const attention_spec *s = &a->spec;
    size_t d = s->shape.d_head, i_kv = head / attention_group(a);
    row_span queries = s->q_spans[i_span], keys = s->kv_spans[i_span];
    float *kv_row = kv + keys.first * a->kv->n_cols;
    return (head_view){.q = q + queries.first * a->q->n_cols + s->q_first + head * d,
                       .k = kv_row + s->k_first + i_kv * d,
                       .v = kv_row + s->v_first + i_kv * d,
                       .ld_q = a->q->n_cols,
                       .ld_kv = a->kv->n_cols,
                       .n_queries = queries.n};
}

/* What the work on one head reads and writes besides its view. */
typedef struct head_job {
    head_view view, d_view;
    size_t i_span, head, ld;
    float *log_sums;      /* of the span's first row, like y and d_y */
    const float *y, *d_y; /* backward */
    float *d_offsets;     /* NULL without a bias that learns */
} head_job;

/* scores[m, n_keys] = scale * q k^T + bias for query rows [row, row + m). */
static void block_scores(const attention_args *a, const head_job *b, size_t row, size_t m,
                         float *scores)
{
    size_t n_keys = attention_keys_until(a, b->i_span, row + m);
    const head_view *view = &b->view;
    gemm(GEMM_N, GEMM_T, m, n_keys, a->spec.shape.d_head, a->spec.scale, view->q + row * view->ld_q,
         view->ld_q, view->k, view->ld_kv, 0, scores, b->ld);
    if (a->spec.bias == NULL) return;
    for (size_t i = 0; i < m; i++)
        attention_add_bias(a, b->head, row + i, scores + i * b->ld,
                           attention_keys_until(a, b->i_span, row + i + 1));
}

static void forward(const attention_args *a, const tensor *out, size_t i_span, size_t head,
                    float *work)
{
    size_t d = a->spec.shape.d_head, d_y = out->n_cols, first = a->spec.q_spans[i_span].first;
    head_job b = {.view = view_head(a, a->q->data, a->kv->data, i_span, head),
                  .i_span = i_span,
                  .head = head,
                  .ld = row_length(a),
                  .log_sums = a->log_sums + head * a->q->n_rows + first};
    for (size_t row = 0; row < b.view.n_queries; row += ATTENTION_ROWS) {
        size_t m = RT_MIN(ATTENTION_ROWS, b.view.n_queries - row);
        size_t n_keys = attention_keys_until(a, i_span, row + m);
        block_scores(a, &b, row, m, work);
        for (size_t i = 0; i < m; i++) {
            float *p = work + i * b.ld;
            size_t n_seen = attention_keys_until(a, i_span, row + i + 1);
            float top = vec_max(p, n_seen);
            float sum = vec_exp_sum(p, n_seen, top);
            vec_scale(p, 1.0f / sum, n_seen);
            memset(p + n_seen, 0, (n_keys - n_seen) * sizeof *p);
            b.log_sums[row + i] = top + logf(sum);
        }
        gemm(GEMM_N, GEMM_N, m, d, n_keys, 1, work, b.ld, b.view.v, b.view.ld_kv, 0,
             out->data + (first + row) * d_y + head * d, d_y);
    }
}

/* One block of the backward: with p the probabilities and D_i = d_y_i . y_i,
 *   d_v += p^T d_y     d_s = p (d_y v^T - D)     d_bias += d_s     d_q = scale d_s k
 *   d_k += scale d_s^T q
 * @param beta  0 when d_k and d_v hold nothing yet. */
static void block_backward(const attention_args *a, const head_job *b, size_t row, size_t m,
                           float beta, float *work)
{
    head_view view = b->view, d_view = b->d_view;
    size_t d = a->spec.shape.d_head, ld_y = a->spec.shape.n_heads * d, ld = b->ld;
    size_t n_keys = attention_keys_until(a, b->i_span, row + m);
    float *p = work, *d_s = work + ATTENTION_ROWS * ld;
    const float *y = b->y + row * ld_y, *d_y = b->d_y + row * ld_y;
    block_scores(a, b, row, m, p);
    gemm(GEMM_N, GEMM_T, m, n_keys, d, 1, d_y, ld_y, view.v, view.ld_kv, 0, d_s, ld);
    for (size_t i = 0; i < m; i++) {
        size_t n_seen = attention_keys_until(a, b->i_span, row + i + 1);
        float *p_row = p + i * ld, *s_row = d_s + i * ld;
        vec_exp_sum(p_row, n_seen, b->log_sums[row + i]);
        float mean = vec_dot(y + i * ld_y, d_y + i * ld_y, d);
        for (size_t j = 0; j < n_seen; j++) s_row[j] = p_row[j] * (s_row[j] - mean) * a->spec.scale;
        memset(p_row + n_seen, 0, (n_keys - n_seen) * sizeof *p_row);
        memset(s_row + n_seen, 0, (n_keys - n_seen) * sizeof *s_row);
        if (b->d_offsets != NULL)
            vec_add(b->d_offsets + rel_offsets_at(&a->bias, row + i), s_row, n_seen);
    }
    gemm(GEMM_T, GEMM_N, n_keys, d, m, 1, p, ld, d_y, ld_y, beta, d_view.v, view.ld_kv);
    gemm(GEMM_N, GEMM_N, m, d, n_keys, 1, d_s, ld, view.k, view.ld_kv, 0,
         d_view.q + row * view.ld_q, view.ld_q);
    gemm(GEMM_T, GEMM_N, n_keys, d, m, 1, d_s, ld, view.q + row * view.ld_q, view.ld_q, beta,
         d_view.k, view.ld_kv);
}

/* Last block first: it reaches every key, so it may overwrite and the others add. */
static void head_backward(const attention_args *a, const tensor *out, size_t i_span, size_t head,
                          bool adds, float *work)
{
    size_t d = a->spec.shape.d_head, first = a->spec.q_spans[i_span].first, ld = row_length(a);
    head_job b = {.view = view_head(a, a->q->data, a->kv->data, i_span, head),
                  .d_view = view_head(a, a->q->grad, a->kv->grad, i_span, head),
                  .i_span = i_span,
                  .head = head,
                  .ld = ld,
                  .log_sums = a->log_sums + head * a->q->n_rows + first,
                  .y = out->data + first * out->n_cols + head * d,
                  .d_y = out->grad + first * out->n_cols + head * d};
    if (a->d_bias != NULL) {
        b.d_offsets = work + 2 * ATTENTION_ROWS * ld;
        memset(b.d_offsets, 0, a->bias.n * sizeof *b.d_offsets);
    }
    float beta = adds ? 1 : 0;
    for (size_t n_left = b.view.n_queries; n_left > 0;) {
        size_t row = (n_left - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
        block_backward(a, &b, row, n_left - row, beta, work);
        beta = 1;
        n_left = row;
    }
    if (a->d_bias != NULL) attention_fold_bias(a, i_span, head, b.d_offsets);
}

static void backward(const attention_args *a, const tensor *out, size_t i_span, size_t kv_head,
                     float *work)
{
    size_t group = attention_group(a), head = kv_head * group;
    for (size_t i = 0; i < group; i++) head_backward(a, out, i_span, head + i, i > 0, work);
}

const attention_kernel attention_f32 = {work_floats, forward, backward};
