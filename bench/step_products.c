#include "bench/step_products.h"

#include "common/base/status.h"

typedef struct list {
    step_product *at;
    size_t n;
} list;

static void add(list *l, gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, double times)
{
    RT_ASSERT(l->n < STEP_PRODUCTS_MAX);
    l->at[l->n++] = (step_product){op_a, op_b, m, n, k, times};
}

/* y[m, n] = x[m, k] w[n, k]^T and its two gradients. */
static void add_linear(list *l, size_t m, size_t n, size_t k, double times)
{
    add(l, GEMM_N, GEMM_T, m, n, k, times); /* y */
    add(l, GEMM_N, GEMM_N, m, k, n, times); /* d_x = d_y w */
    add(l, GEMM_T, GEMM_N, n, k, m, times); /* d_w = d_y^T x */
}

/* Of one head and sequence: s = q k^T, o = p v; d_p = d_o v^T, d_v = p^T d_o, d_q = d_s k,
 * d_k = d_s^T q. */
static void add_attention(list *l, size_t n_q, size_t n_kv, size_t d_head, double times)
{
    add(l, GEMM_N, GEMM_T, n_q, n_kv, d_head, 2 * times);
    add(l, GEMM_N, GEMM_N, n_q, d_head, n_kv, 2 * times);
    add(l, GEMM_T, GEMM_N, n_kv, d_head, n_q, 2 * times);
}

size_t step_products(const bench_shape *shape, step_product out[STEP_PRODUCTS_MAX])
{
    list l = {.at = out};
    const model_config *c = &shape->config;
    const packed_seq *s = &shape->batch.seqs[0]; /* all sequences are alike */
    size_t d = c->d_model, inner = c->n_heads * c->d_head, n_seqs = shape->batch.n_seqs;
    bool t5 = c->arch == MODEL_ARCH_T5;
    size_t n_prompt = t5 ? s->n_prompt : 0, n_target = s->n_target;
    size_t source = n_seqs * n_prompt, target = n_seqs * n_target;
    double heads = (double)(n_seqs * c->n_heads), layers = (double)c->n_layers;
    for (int stack = t5 ? 0 : 1; stack < 2; stack++) {
        size_t n = stack == 0 ? source : target, length = stack == 0 ? n_prompt : n_target;
        add_linear(&l, n, 3 * inner, d, layers);
        add_linear(&l, n, d, inner, layers);
        add_linear(&l, n, 2 * c->d_ff, d, layers);
        add_linear(&l, n, d, c->d_ff, layers);
        add_attention(&l, length, length, c->d_head, layers * heads);
    }
    if (t5) {
        add_linear(&l, target, inner, d, layers);
        add_linear(&l, source, 2 * inner, d, layers);
        add_linear(&l, target, d, inner, layers);
        add_attention(&l, n_target, n_prompt, c->d_head, layers * heads);
    }
    add_linear(&l, target, c->n_vocab, d, 1);
    return l.n;
}
