#include <math.h>
#include <string.h>

#include "common/nn/gemm_bf16.h"
#include "common/nn/ops/attention_head.h"
#include "common/nn/vec.h"

/* Heads of activations held as bfloat16, with products of bfloat16. Scores, softmax and sums over
 * blocks are float32; probabilities are rounded before they meet values or gradients.
 *
 * A head's rows are copied to the work space, with zeros up to a whole number of ATTENTION_ROWS:
 * lengths of sequences vary, and each shape of a product needs a kernel of its own (gemm_bf16.h).
 */
typedef struct head_work {
    float *scores, *d_scores; /* [ATTENTION_ROWS, ld] */
    float *d_k, *d_v;         /* [ld, d_head] */
    float *d_offsets;         /* [bias.n] */
    bf16 *p, *d_s;            /* [ATTENTION_ROWS, ld]: the above rounded */
    bf16 *k, *v;              /* [ld, d_head] */
    bf16 *q, *d_y, *out;      /* [ATTENTION_ROWS, d_head] */
    size_t ld;                /* keys of the longest span, rounded up */
} head_work;

static size_t padded(size_t n)
{
    return (n + ATTENTION_ROWS - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
}

/* Two numbers of bfloat16 in the place of a float. */
static size_t work_floats(const attention_args *a)
{
    size_t ld = padded(a->n_keys), d = a->spec.shape.d_head;
    size_t n_halves = 2 * ATTENTION_ROWS * ld + 2 * ld * d + 3 * ATTENTION_ROWS * d;
    return 2 * ATTENTION_ROWS * ld + 2 * ld * d + (a->bias.n + 15) / 16 * 16 + n_halves / 2;
}

static head_work lay_out(const attention_args *a, float *work)
{
    size_t ld = padded(a->n_keys), d = a->spec.shape.d_head, n = ATTENTION_ROWS;
    head_work w = {.scores = work, .ld = ld};
    w.d_scores = w.scores + n * ld;
    w.d_k = w.d_scores + n * ld;
    w.d_v = w.d_k + ld * d;
    w.d_offsets = w.d_v + ld * d;
    w.p = (bf16 *)(void *)(w.d_offsets + (a->bias.n + 15) / 16 * 16);
    w.d_s = w.p + n * ld;
    w.k = w.d_s + n * ld;
    w.v = w.k + ld * d;
    w.q = w.v + ld * d;
    w.d_y = w.q + n * d;
    w.out = w.d_y + n * d;
    return w;
}

/* n rows of a head from a matrix, zeros behind them. */
static void read_head(const bf16 *from, size_t n_cols, size_t n, size_t n_padded, size_t d,
                      bf16 *to)
{
    for (size_t i = 0; i < n; i++) memcpy(to + i * d, from + i * n_cols, d * sizeof *to);
    memset(to + n * d, 0, (n_padded - n) * d * sizeof *to);
}

static void write_head(const bf16 *from, size_t n, size_t d, bf16 *to, size_t n_cols)
{
    for (size_t i = 0; i < n; i++) memcpy(to + i * n_cols, from + i * d, d * sizeof *to);
}

static void read_keys(const attention_args *a, size_t i_span, size_t kv_head, const head_work *w)
{
    const attention_spec *s = &a->spec;
    size_t d = s->shape.d_head, n_cols = a->kv->n_cols, n = s->kv_spans[i_span].n;
    const bf16 *row = a->kv->half + s->kv_spans[i_span].first * n_cols + kv_head * d;
    read_head(row + s->k_first, n_cols, n, padded(n), d, w->k);
    read_head(row + s->v_first, n_cols, n, padded(n), d, w->v);
}

/* One block of query rows [row, row + m) of a span. */
typedef struct block {
    size_t i_span, head, row, m;
    size_t reach; /* keys that the products take, rounded up */
} block;

static block block_at(const attention_args *a, size_t i_span, size_t head, size_t row)
{
    size_t m = RT_MIN(ATTENTION_ROWS, a->spec.q_spans[i_span].n - row);
    return (block){.i_span = i_span,
                   .head = head,
                   .row = row,
                   .m = m,
                   .reach = padded(attention_keys_until(a, i_span, row + m))};
}

/* Place of the block's first row and head's first column in a matrix of queries. */
static size_t query_at(const attention_args *a, const block *b, size_t n_cols, size_t first_col)
{
    size_t i_row = a->spec.q_spans[b->i_span].first + b->row;
    return i_row * n_cols + first_col + b->head * a->spec.shape.d_head;
}

/* q of the block, and scores = scale q k^T + bias. */
static void block_scores(const attention_args *a, const block *b, const head_work *w)
{
    size_t d = a->spec.shape.d_head;
    const bf16 *q = a->q->half + query_at(a, b, a->q->n_cols, a->spec.q_first);
    read_head(q, a->q->n_cols, b->m, ATTENTION_ROWS, d, w->q);
    gemm_bf16(GEMM_N, GEMM_T, ATTENTION_ROWS, b->reach, d, w->q, d, w->k, d, 0, w->scores, w->ld);
    for (size_t i = 0; i < b->m; i++) {
        float *row = w->scores + i * w->ld;
        size_t n_seen = attention_keys_until(a, b->i_span, b->row + i + 1);
        if (a->spec.scale != 1.0f) vec_scale(row, a->spec.scale, n_seen);
        if (a->spec.bias != NULL) attention_add_bias(a, b->head, b->row + i, row, n_seen);
    }
}

/* A row of n_seen numbers as bfloat16, zeros up to the reach. */
static void round_row(const float *row, size_t n_seen, size_t reach, bf16 *out)
{
    bf16_from_f32(row, n_seen, out);
    memset(out + n_seen, 0, (reach - n_seen) * sizeof *out);
}

/* Rows of a block that no query has. */
static void clear_rows(const block *b, bf16 *rows, size_t ld)
{
    for (size_t i = b->m; i < ATTENTION_ROWS; i++)
        memset(rows + i * ld, 0, b->reach * sizeof *rows);
}

static void block_forward(const attention_args *a, const block *b, const head_work *w,
                          float *log_sums, const tensor *out)
{
    size_t d = a->spec.shape.d_head;
    block_scores(a, b, w);
    for (size_t i = 0; i < b->m; i++) {
        float *p = w->scores + i * w->ld;
        size_t n_seen = attention_keys_until(a, b->i_span, b->row + i + 1);
        float top = vec_max(p, n_seen);
        float sum = vec_exp_sum(p, n_seen, top);
        vec_scale(p, 1.0f / sum, n_seen);
        round_row(p, n_seen, b->reach, w->p + i * w->ld);
        log_sums[i] = top + logf(sum);
    }
    clear_rows(b, w->p, w->ld);
    gemm_bf16_half(GEMM_N, GEMM_N, ATTENTION_ROWS, d, b->reach, w->p, w->ld, w->v, d, w->out, d);
    write_head(w->out, b->m, d, out->half + query_at(a, b, out->n_cols, 0), out->n_cols);
}

static void forward(const attention_args *a, const tensor *out, size_t i_span, size_t head,
                    float *work)
{
    head_work w = lay_out(a, work);
    row_span queries = a->spec.q_spans[i_span];
    float *log_sums = a->log_sums + head * a->q->n_rows + queries.first;
    read_keys(a, i_span, head / attention_group(a), &w);
    for (size_t row = 0; row < queries.n; row += ATTENTION_ROWS) {
        block b = block_at(a, i_span, head, row);
        block_forward(a, &b, &w, log_sums + row, out);
    }
}

/* p from the scores, and d_s = p (d_y v^T - D) scale with D_i = sum_j p_ij (d_y v^T)_ij. */
static void block_d_scores(const attention_args *a, const block *b, const head_work *w)
{
    const float *log_sums =
        a->log_sums + b->head * a->q->n_rows + a->spec.q_spans[b->i_span].first + b->row;
    for (size_t i = 0; i < b->m; i++) {
        size_t n_seen = attention_keys_until(a, b->i_span, b->row + i + 1);
        float *p = w->scores + i * w->ld, *d_s = w->d_scores + i * w->ld;
        vec_exp_sum(p, n_seen, log_sums[i]);
        float mean = vec_dot(p, d_s, n_seen);
        for (size_t j = 0; j < n_seen; j++) d_s[j] = p[j] * (d_s[j] - mean) * a->spec.scale;
        if (a->d_bias != NULL)
            vec_add(w->d_offsets + rel_offsets_at(&a->bias, b->row + i), d_s, n_seen);
        round_row(p, n_seen, b->reach, w->p + i * w->ld);
        round_row(d_s, n_seen, b->reach, w->d_s + i * w->ld);
    }
    clear_rows(b, w->p, w->ld);
    clear_rows(b, w->d_s, w->ld);
}

/* One block of the backward:
 *   d_v += p^T d_y     d_bias += d_s     d_q = d_s k     d_k += d_s^T q
 * @param beta  0 when d_k and d_v hold nothing yet. */
static void block_backward(const attention_args *a, const block *b, const head_work *w,
                           const tensor *out, float beta)
{
    size_t d = a->spec.shape.d_head, n = ATTENTION_ROWS, ld = w->ld, reach = b->reach;
    const bf16 *d_y = out->half_grad + query_at(a, b, out->n_cols, 0);
    bf16 *d_q = a->q->half_grad + query_at(a, b, a->q->n_cols, a->spec.q_first);
    read_head(d_y, out->n_cols, b->m, n, d, w->d_y);
    block_scores(a, b, w);
    gemm_bf16(GEMM_N, GEMM_T, n, reach, d, w->d_y, d, w->v, d, 0, w->d_scores, ld);
    block_d_scores(a, b, w);
    gemm_bf16(GEMM_T, GEMM_N, reach, d, n, w->p, ld, w->d_y, d, beta, w->d_v, d);
    gemm_bf16_half(GEMM_N, GEMM_N, n, d, reach, w->d_s, ld, w->k, d, w->out, d);
    gemm_bf16(GEMM_T, GEMM_N, reach, d, n, w->d_s, ld, w->q, d, beta, w->d_k, d);
    write_head(w->out, b->m, d, d_q, a->q->n_cols);
}

static void head_backward(const attention_args *a, const tensor *out, size_t i_span, size_t head,
                          bool adds, const head_work *w)
{
    float beta = adds ? 1 : 0;
    if (a->d_bias != NULL) memset(w->d_offsets, 0, a->bias.n * sizeof *w->d_offsets);
    /* Last block first: it reaches every key, so it may overwrite and the others add. */
    for (size_t n_left = a->spec.q_spans[i_span].n; n_left > 0;) {
        size_t row = (n_left - 1) / ATTENTION_ROWS * ATTENTION_ROWS;
        block b = block_at(a, i_span, head, row);
        block_backward(a, &b, w, out, beta);
        beta = 1;
        n_left = row;
    }
    if (a->d_bias != NULL) attention_fold_bias(a, i_span, head, w->d_offsets);
}

static void backward(const attention_args *a, const tensor *out, size_t i_span, size_t kv_head,
                     float *work)
{
    const attention_spec *s = &a->spec;
    head_work w = lay_out(a, work);
    size_t group = attention_group(a), d = s->shape.d_head, n_cols = a->kv->n_cols;
    row_span keys = s->kv_spans[i_span];
    bf16 *row = a->kv->half_grad + keys.first * n_cols + kv_head * d;
    read_keys(a, i_span, kv_head, &w);
    for (size_t i = 0; i < group; i++)
        head_backward(a, out, i_span, kv_head * group + i, i > 0, &w);
    for (size_t i = 0; i < keys.n; i++, row += n_cols) {
        bf16_from_f32(w.d_k + i * d, d, row + s->k_first);
        bf16_from_f32(w.d_v + i * d, d, row + s->v_first);
    }
}

const attention_kernel attention_half = {work_floats, forward, backward};
