#include <math.h>

#include "common/nn/ops/attention_head.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"
#include "common/nn/vec.h"

size_t attention_group(const attention_args *a)
{
    return a->spec.shape.n_heads / a->spec.shape.n_kv_heads;
}

size_t attention_keys_until(const attention_args *a, size_t i_span, size_t end)
{
    return a->spec.causal ? end : a->spec.kv_spans[i_span].n;
}

void attention_add_bias(const attention_args *a, size_t head, size_t i, float *row, size_t n_seen)
{
    vec_add(row, rel_offsets_row(&a->bias, head, i), n_seen);
}

void attention_fold_bias(const attention_args *a, size_t i_span, size_t head,
                         const float *d_offsets)
{
    size_t job = i_span * a->spec.shape.n_heads + head;
    rel_offsets_fold(&a->bias, d_offsets, a->d_bias + job * a->bias.n_buckets);
}

static const attention_kernel *kernel_of(const tensor *out)
{
    return out->is_half ? &attention_half : &attention_f32;
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
    const attention_kernel *kernel = kernel_of(out);
    bool add_q = false, add_kv = false;
    size_t n_work = kernel->work(a);
    float *work = rows_work(t, n_work);
    rows d_q = rows_for_grad(t, a->q, &add_q);
    rows d_kv = a->kv == a->q ? d_q : rows_for_grad(t, a->kv, &add_kv);
    if (work == NULL || !rows_ok(&d_q) || !rows_ok(&d_kv)) return;
    RT_ASSERT(!add_q && !add_kv); /* the projections have one reader */
    size_t n_kv_heads = a->spec.shape.n_kv_heads, n_jobs = a->spec.n_spans * n_kv_heads;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++)
        kernel->backward(a, out, job / n_kv_heads, job % n_kv_heads,
                         work + parallel_thread() * n_work);
    rows_work_give(t, work, n_work);
    if (a->d_bias != NULL) bias_backward(t, a);
}

static void check_spec(const tensor *q, const tensor *kv, const attention_spec *s)
{
    size_t n_kv = s->shape.n_kv_heads * s->shape.d_head;
    RT_ASSERT(s->shape.n_heads % s->shape.n_kv_heads == 0);
    RT_ASSERT(s->q_first + s->shape.n_heads * s->shape.d_head <= q->n_cols);
    RT_ASSERT(s->k_first + n_kv <= kv->n_cols && s->v_first + n_kv <= kv->n_cols);
    RT_ASSERT(q->is_half == kv->is_half);
    RT_ASSERT(s->bias == NULL || s->scale == 1.0f);
    for (size_t i = 0; i < s->n_spans; i++) {
        RT_ASSERT(s->q_spans[i].n > 0 && s->kv_spans[i].n > 0);
        RT_ASSERT(!s->causal || s->q_spans[i].n == s->kv_spans[i].n);
    }
}

/* The longest span, and the bias by offset. False when memory ran out. */
static bool prepare(tape *t, attention_args *a)
{
    const attention_spec *s = &a->spec;
    size_t n_queries = 0, n_heads = s->shape.n_heads;
    for (size_t i = 0; i < s->n_spans; i++) {
        n_queries = RT_MAX(n_queries, s->q_spans[i].n);
        a->n_keys = RT_MAX(a->n_keys, s->kv_spans[i].n);
    }
    if (s->bias != NULL) {
        if (!rel_offsets_make(t, s->bias, n_heads, n_queries, a->n_keys, &a->bias)) return false;
        if (tape_records(t) && !s->bias->table->frozen) {
            a->d_bias = tape_alloc(t, s->n_spans * n_heads * a->bias.n_buckets, sizeof *a->d_bias);
            if (a->d_bias == NULL) return false;
        }
    }
    a->log_sums = tape_alloc(t, n_heads * a->q->n_rows, sizeof *a->log_sums);
    return a->log_sums != NULL;
}

static bool run_forward(tape *t, const attention_args *a, const tensor *out)
{
    const attention_kernel *kernel = kernel_of(out);
    size_t n_work = kernel->work(a), n_heads = a->spec.shape.n_heads;
    size_t n_jobs = a->spec.n_spans * n_heads;
    float *work = rows_work(t, n_work);
    if (work == NULL) return false;
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++)
        kernel->forward(a, out, job / n_heads, job % n_heads, work + parallel_thread() * n_work);
    rows_work_give(t, work, n_work);
    return true;
}

tensor *op_attention_over(tape *t, tensor *q, tensor *kv, const attention_spec *spec)
{
    if (q == NULL || kv == NULL || (spec->bias != NULL && spec->bias->table == NULL)) return NULL;
    check_spec(q, kv, spec);
    size_t n_heads = spec->shape.n_heads;
    attention_args *a = tape_alloc(t, 1, sizeof *a);
    size_t d_out = n_heads * spec->shape.d_head;
    tensor *out =
        q->is_half ? tape_activation(t, q->n_rows, d_out) : tape_tensor(t, q->n_rows, d_out);
    if (a == NULL || out == NULL) return NULL;
    *a = (attention_args){.q = q, .kv = kv, .spec = *spec};
    if (spec->bias != NULL) {
        a->rel = *spec->bias;
        a->spec.bias = &a->rel;
    }
    if (!prepare(t, a) || !run_forward(t, a, out)) return NULL;
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
