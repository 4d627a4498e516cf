#include <math.h>
#include <string.h>

#include "common/nn/gemm.h"
#include "common/nn/ops/ops.h"
#include "common/nn/ops/rel_bias.h"
#include "common/nn/parallel.h"
#include "common/nn/vec.h"

/* Query rows whose probabilities exist at one time. */
#define BLOCK_ROWS 64

/* A job is one (span, key head): it alone writes the gradient of its keys and values. The work
 * space of a thread holds two blocks [BLOCK_ROWS, longest span of keys], and with a bias the
 * gradient of each offset of one head.
 *
 *   fused row     | q head 0 .. q head H-1 | k head 0 .. k head G-1 | v head 0 .. v head G-1 |
 */
typedef struct attention_args {
    tensor *q, *kv; /* one and the same in self-attention */
    attention_spec spec;
    rel_bias rel;     /* what spec.bias points to */
    rel_offsets bias; /* empty without one */
    float *d_bias;    /* [n_spans, n_heads, n_buckets], each job's part of the table's gradient */
    float *log_sums;  /* [n_heads, n_tokens], log-sum-exp of each row's scores */
    float *work;      /* [threads, n_work] */
    size_t n_work;    /* floats of one thread */
    size_t ld;        /* row length of a block */
} attention_args;

/* One query head of one span, as pointers into the matrices (or their gradients). */
typedef struct head_view {
    float *q, *k, *v;
    size_t ld_q, ld_kv;
    size_t n_queries, n_keys;
    bool causal;
} head_view;

static head_view view_head(const attention_args *a, float *q, float *kv, size_t i_span, size_t head)
{
    const attention_spec *s = &a->spec;
    size_t d = s->shape.d_head, i_kv = head / (s->shape.n_heads / s->shape.n_kv_heads);
    row_span queries = s->q_spans[i_span], keys = s->kv_spans[i_span];
    float *kv_row = kv + keys.first * a->kv->n_cols;
    return (head_view){.q = q + queries.first * a->q->n_cols + s->q_first + head * d,
                       .k = kv_row + s->k_first + i_kv * d,
                       .v = kv_row + s->v_first + i_kv * d,
                       .ld_q = a->q->n_cols,
                       .ld_kv = a->kv->n_cols,
                       .n_queries = queries.n,
                       .n_keys = keys.n,
                       .causal = s->causal};
}

/* Keys that a block of queries ending before row `end` reaches. */
static size_t keys_until(head_view view, size_t end)
{
    return view.causal ? end : view.n_keys;
}

/* scores[m, n_keys] = scale * q k^T + bias for query rows [row, row + m). */
static void block_scores(const attention_args *a, head_view view, size_t head, size_t row, size_t m,
                         float *scores)
{
    size_t n_keys = keys_until(view, row + m);
    gemm(GEMM_N, GEMM_T, m, n_keys, a->spec.shape.d_head, a->spec.scale, view.q + row * view.ld_q,
         view.ld_q, view.k, view.ld_kv, 0, scores, a->ld);
    if (a->spec.bias == NULL) return;
    for (size_t i = 0; i < m; i++)
        vec_add(scores + i * a->ld, rel_offsets_row(&a->bias, head, row + i),
                keys_until(view, row + i + 1));
}

/* Forward of one head: blocks of query rows from the first to the last. */
static void head_forward(const attention_args *a, size_t i_span, size_t head, float *work, float *y)
{
    size_t d = a->spec.shape.d_head, d_y = a->spec.shape.n_heads * d;
    size_t first = a->spec.q_spans[i_span].first;
    head_view view = view_head(a, a->q->data, a->kv->data, i_span, head);
    float *log_sums = a->log_sums + head * a->q->n_rows + first;
    for (size_t row = 0; row < view.n_queries; row += BLOCK_ROWS) {
        size_t m = RT_MIN((size_t)BLOCK_ROWS, view.n_queries - row);
        size_t n_keys = keys_until(view, row + m);
        block_scores(a, view, head, row, m, work);
        for (size_t i = 0; i < m; i++) {
            float *p = work + i * a->ld;
            size_t n_seen = keys_until(view, row + i + 1);
            float top = vec_max(p, n_seen);
            float sum = vec_exp_sum(p, n_seen, top);
            vec_scale(p, 1.0f / sum, n_seen);
            memset(p + n_seen, 0, (n_keys - n_seen) * sizeof *p);
            log_sums[row + i] = top + logf(sum);
        }
        gemm(GEMM_N, GEMM_N, m, d, n_keys, 1, work, a->ld, view.v, view.ld_kv, 0,
             y + (first + row) * d_y + head * d, d_y);
    }
}

/* What the backward of one head reads and writes besides its view. */
typedef struct head_back {
    head_view view, d_view;
    size_t head;
    const float *log_sums, *y, *d_y; /* of the span's first row */
    float *d_offsets;                /* NULL without a bias */
} head_back;

/* One block of the backward: with p the probabilities and D_i = d_y_i . y_i,
 *   d_v += p^T d_y     d_s = p (d_y v^T - D)     d_bias += d_s     d_q = scale d_s k
 *   d_k += scale d_s^T q
 * @param beta  0 when d_k and d_v hold nothing yet. */
static void block_backward(const attention_args *a, const head_back *b, size_t row, size_t m,
                           float beta, float *work)
{
    head_view view = b->view, d_view = b->d_view;
    size_t d = a->spec.shape.d_head, ld_y = a->spec.shape.n_heads * d, ld = a->ld;
    size_t n_keys = keys_until(view, row + m);
    float *p = work, *d_s = work + BLOCK_ROWS * ld;
    const float *y = b->y + row * ld_y, *d_y = b->d_y + row * ld_y;
    block_scores(a, view, b->head, row, m, p);
    gemm(GEMM_N, GEMM_T, m, n_keys, d, 1, d_y, ld_y, view.v, view.ld_kv, 0, d_s, ld);
    for (size_t i = 0; i < m; i++) {
        size_t n_seen = keys_until(view, row + i + 1);
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
static void head_backward(const attention_args *a, const tensor *out, float *d_q, float *d_kv,
                          size_t i_span, size_t head, float *work)
{
    head_shape shape = a->spec.shape;
    size_t first = a->spec.q_spans[i_span].first, ld_y = shape.n_heads * shape.d_head;
    head_back b = {.view = view_head(a, a->q->data, a->kv->data, i_span, head),
                   .d_view = view_head(a, d_q, d_kv, i_span, head),
                   .head = head,
                   .log_sums = a->log_sums + head * a->q->n_rows + first,
                   .y = out->data + first * ld_y + head * shape.d_head,
                   .d_y = out->grad + first * ld_y + head * shape.d_head};
    if (a->d_bias != NULL) {
        b.d_offsets = work + 2 * BLOCK_ROWS * a->ld;
        memset(b.d_offsets, 0, a->bias.n * sizeof *b.d_offsets);
    }
    float beta = head % (shape.n_heads / shape.n_kv_heads) == 0 ? 0 : 1;
    for (size_t n_left = b.view.n_queries; n_left > 0;) {
        size_t row = (n_left - 1) / BLOCK_ROWS * BLOCK_ROWS;
        block_backward(a, &b, row, n_left - row, beta, work);
        beta = 1;
        n_left = row;
    }
    if (a->d_bias != NULL)
        rel_offsets_fold(&a->bias, b.d_offsets,
                         a->d_bias + (i_span * shape.n_heads + head) * a->bias.n_buckets);
}

/* The jobs' parts, in the order of the spans. */
static void bias_backward(tape *t, const attention_args *a)
{
    tensor *table = a->spec.bias->table;
    size_t n_heads = a->spec.shape.n_heads, n_buckets = a->bias.n_buckets;
    float *d_table = tape_grad_sparse(t, table);
    if (d_table == NULL) return;
    for (size_t i = 0; i < a->spec.n_spans; i++)
        for (size_t head = 0; head < n_heads; head++)
            for (size_t k = 0; k < n_buckets; k++)
                d_table[k * n_heads + head] += a->d_bias[(i * n_heads + head) * n_buckets + k];
}

static void attention_backward(tape *t, void *args, tensor *out)
{
    attention_args *a = args;
    bool add_q = false, add_kv = false;
    float *d_q = tape_grad(t, a->q, &add_q);
    float *d_kv = a->kv == a->q ? d_q : tape_grad(t, a->kv, &add_kv);
    if (d_q == NULL || d_kv == NULL) return;
    RT_ASSERT(!add_q && !add_kv); /* the projections have one reader */
    size_t n_kv_heads = a->spec.shape.n_kv_heads, group = a->spec.shape.n_heads / n_kv_heads;
    size_t n_jobs = a->spec.n_spans * n_kv_heads;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++) {
        float *work = a->work + parallel_thread() * a->n_work;
        size_t i_span = job / n_kv_heads, kv = job % n_kv_heads;
        for (size_t head = kv * group; head < (kv + 1) * group; head++)
            head_backward(a, out, d_q, d_kv, i_span, head, work);
    }
    if (a->d_bias != NULL) bias_backward(t, a);
}

static void check_spec(const tensor *q, const tensor *kv, const attention_spec *s)
{
    size_t n_kv = s->shape.n_kv_heads * s->shape.d_head;
    RT_ASSERT(s->shape.n_heads % s->shape.n_kv_heads == 0);
    RT_ASSERT(s->q_first + s->shape.n_heads * s->shape.d_head <= q->n_cols);
    RT_ASSERT(s->k_first + n_kv <= kv->n_cols && s->v_first + n_kv <= kv->n_cols);
    RT_ASSERT(s->bias == NULL || s->scale == 1.0f);
    for (size_t i = 0; i < s->n_spans; i++) {
        RT_ASSERT(s->q_spans[i].n > 0 && s->kv_spans[i].n > 0);
        RT_ASSERT(!s->causal || s->q_spans[i].n == s->kv_spans[i].n);
    }
}

/* Sizes of the work space, and the bias by offset. False when memory ran out. */
static bool prepare(tape *t, attention_args *a)
{
    const attention_spec *s = &a->spec;
    size_t n_queries = 0, n_keys = 0, n_heads = s->shape.n_heads;
    for (size_t i = 0; i < s->n_spans; i++) {
        n_queries = RT_MAX(n_queries, s->q_spans[i].n);
        n_keys = RT_MAX(n_keys, s->kv_spans[i].n);
    }
    a->ld = (n_keys + 15) / 16 * 16;
    a->n_work = 2 * BLOCK_ROWS * a->ld;
    if (s->bias != NULL) {
        if (!rel_offsets_make(t, s->bias, n_heads, n_queries, n_keys, &a->bias)) return false;
        if (tape_records(t) && !s->bias->table->frozen) {
            a->n_work += a->bias.n;
            a->d_bias = tape_alloc(t, s->n_spans * n_heads * a->bias.n_buckets, sizeof *a->d_bias);
            if (a->d_bias == NULL) return false;
        }
    }
    a->work = tape_alloc(t, parallel_threads() * a->n_work, sizeof *a->work);
    a->log_sums = tape_alloc(t, n_heads * a->q->n_rows, sizeof *a->log_sums);
    return a->work != NULL && a->log_sums != NULL;
}

tensor *op_attention_over(tape *t, tensor *q, tensor *kv, const attention_spec *spec)
{
    if (q == NULL || kv == NULL || (spec->bias != NULL && spec->bias->table == NULL)) return NULL;
    check_spec(q, kv, spec);
    size_t n_heads = spec->shape.n_heads;
    attention_args *a = tape_alloc(t, 1, sizeof *a);
    tensor *out = tape_tensor(t, q->n_rows, n_heads * spec->shape.d_head);
    if (a == NULL || out == NULL) return NULL;
    *a = (attention_args){.q = q, .kv = kv, .spec = *spec};
    if (spec->bias != NULL) {
        a->rel = *spec->bias;
        a->spec.bias = &a->rel;
    }
    if (!prepare(t, a)) return NULL;
    size_t n_jobs = spec->n_spans * n_heads;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++)
        head_forward(a, job / n_heads, job % n_heads, a->work + parallel_thread() * a->n_work,
                     out->data);
    tape_push(t, attention_backward, a, out);
    return out;
}

tensor *op_attention(tape *t, tensor *qkv, head_shape shape, const row_span *spans, size_t n_spans)
{
    if (qkv == NULL) return NULL;
    RT_ASSERT(qkv->n_cols == head_shape_cols(shape));
    attention_spec spec = attention_spec_fused(shape, spans, n_spans);
    spec.causal = true;
    spec.scale = 1.0f / sqrtf((float)shape.d_head);
    return op_attention_over(t, qkv, qkv, &spec);
}

attention_spec attention_spec_fused(head_shape shape, const row_span *spans, size_t n_spans)
{
    return (attention_spec){.shape = shape,
                            .k_first = shape.n_heads * shape.d_head,
                            .v_first = (shape.n_heads + shape.n_kv_heads) * shape.d_head,
                            .q_spans = spans,
                            .kv_spans = spans,
                            .n_spans = n_spans,
                            .scale = 1};
}

/* Softmax of one query's scores, and its weighted values. */
static void reference_row(const attention_spec *s, const float *q, const float *k, const float *v,
                          size_t ld, size_t i, size_t n_seen, size_t head, float *y)
{
    size_t d = s->shape.d_head;
    double total = 0, sums[1024] = {0};
    RT_ASSERT(d <= RT_COUNT(sums));
    for (size_t j = 0; j < n_seen; j++) {
        double score = 0;
        for (size_t c = 0; c < d; c++) score += (double)q[c] * k[j * ld + c];
        score *= (double)s->scale;
        if (s->bias != NULL) {
            size_t bucket = rel_bucket((int64_t)j - (int64_t)i, s->bias->bidirectional,
                                       s->bias->table->n_rows, s->bias->distance_max);
            score += (double)s->bias->table->data[bucket * s->shape.n_heads + head];
        }
        double e = exp(score);
        total += e;
        for (size_t c = 0; c < d; c++) sums[c] += e * (double)v[j * ld + c];
    }
    for (size_t c = 0; c < d; c++) y[c] = (float)(sums[c] / total);
}

void attention_reference(const tensor *q, const tensor *kv, const attention_spec *s, float *y)
{
    size_t d = s->shape.d_head, n_heads = s->shape.n_heads, group = n_heads / s->shape.n_kv_heads;
    for (size_t job = 0; job < s->n_spans * n_heads; job++) {
        row_span queries = s->q_spans[job / n_heads], keys = s->kv_spans[job / n_heads];
        size_t head = job % n_heads;
        const float *row = kv->data + keys.first * kv->n_cols + head / group * d;
        for (size_t i = 0; i < queries.n; i++)
            reference_row(s, q->data + (queries.first + i) * q->n_cols + s->q_first + head * d,
                          row + s->k_first, row + s->v_first, kv->n_cols, i,
                          s->causal ? i + 1 : keys.n, head,
                          y + ((queries.first + i) * n_heads + head) * d);
    }
}
