#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "tests/unit/nn/toy.h"

/* T5 as its paper and modeling_t5.py have it, one sequence, one head, one pair at a time. */
typedef struct reference {
    const model_config *c;
    const param_table *table;
    const double *weights;
} reference;

static const double *weight_of(const reference *r, const char *stack, size_t i_layer, int sublayer,
                               const char *part)
{
    char name[128];
    snprintf(name, sizeof name, "%s.block.%zu.layer.%d.%s.weight", stack, i_layer, sublayer, part);
    int i = param_table_find(r->table, name);
    RT_ASSERT(i >= 0);
    return r->weights + r->table->params[i].offset;
}

static const double *named(const reference *r, const char *name)
{
    int i = param_table_find(r->table, name);
    RT_ASSERT(i >= 0);
    return r->weights + r->table->params[i].offset;
}

static double *times(size_t n, const double *x, size_t d_in, const double *w, size_t d_out)
{
    double *y = rt_calloc(n * d_out, sizeof *y);
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < d_out; o++)
            for (size_t c = 0; c < d_in; c++) y[i * d_out + o] += x[i * d_in + c] * w[o * d_in + c];
    return y;
}

static double *normed(const reference *r, size_t n, const double *x, const double *gain)
{
    size_t d = r->c->d_model;
    double *y = rt_calloc(n * d, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t c = 0; c < d; c++) sum += x[i * d + c] * x[i * d + c];
        for (size_t c = 0; c < d; c++)
            y[i * d + c] = x[i * d + c] / sqrt(sum / (double)d + r->c->norm_eps) * gain[c];
    }
    return y;
}

static size_t bucket_of(const reference *r, bool encoder, size_t i_query, size_t i_key)
{
    size_t n = r->c->rel_buckets / (encoder ? 2 : 1), first = encoder && i_key > i_query ? n : 0;
    size_t distance = i_key > i_query ? i_key - i_query : i_query - i_key;
    if (distance < n / 2) return first + distance;
    double share = log((double)distance / (double)(n / 2)) /
                   log((double)r->c->rel_distance_max / (double)(n / 2));
    size_t bucket = n / 2 + (size_t)floor(share * (double)(n - n / 2));
    return first + (bucket < n ? bucket : n - 1);
}

typedef enum attention { ENCODER_SELF, DECODER_SELF, CROSS } attention;

/* y[n_q, heads * d_head]. */
static double *attend(const reference *r, attention which, size_t n_q, const double *q, size_t n_k,
                      const double *k, const double *v)
{
    size_t n_heads = r->c->n_heads, d = r->c->d_head, ld = n_heads * d;
    bool encoder = which == ENCODER_SELF;
    const double *bias = which == CROSS ? NULL
                                        : weight_of(r, encoder ? "encoder" : "decoder", 0, 0,
                                                    "SelfAttention.relative_attention_bias");
    double *y = rt_calloc(n_q * ld, sizeof *y), *p = rt_calloc(n_k, sizeof *p);
    for (size_t job = 0; job < n_q * n_heads; job++) {
        size_t i = job / n_heads, h = job % n_heads;
        size_t n_seen = which == DECODER_SELF ? i + 1 : n_k;
        double total = 0;
        for (size_t j = 0; j < n_seen; j++) {
            double score = bias == NULL ? 0 : bias[bucket_of(r, encoder, i, j) * n_heads + h];
            for (size_t c = 0; c < d; c++) score += q[i * ld + h * d + c] * k[j * ld + h * d + c];
            p[j] = exp(score);
            total += p[j];
        }
        for (size_t j = 0; j < n_seen; j++)
            for (size_t c = 0; c < d; c++)
                y[i * ld + h * d + c] += p[j] / total * v[j * ld + h * d + c];
    }
    free(p);
    return y;
}

static void add_to(double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += y[i];
    free(y);
}

/* x += o(attention(norm(x))) over `memory` [n_k, d_model], or over norm(x) itself when NULL. */
static void attention_layer(const reference *r, attention which, size_t l, size_t n, double *x,
                            size_t n_k, const double *memory)
{
    const char *stack = which == ENCODER_SELF ? "encoder" : "decoder";
    const char *block = which == CROSS ? "EncDecAttention" : "SelfAttention";
    size_t d = r->c->d_model, inner = r->c->n_heads * r->c->d_head;
    int sublayer = which == CROSS ? 1 : 0;
    char names[4][64];
    for (size_t i = 0; i < 4; i++) snprintf(names[i], sizeof names[i], "%s.%c", block, "qkvo"[i]);
    double *h = normed(r, n, x, weight_of(r, stack, l, sublayer, "layer_norm"));
    const double *over = memory == NULL ? h : memory;
    double *q = times(n, h, d, weight_of(r, stack, l, sublayer, names[0]), inner);
    double *k = times(n_k, over, d, weight_of(r, stack, l, sublayer, names[1]), inner);
    double *v = times(n_k, over, d, weight_of(r, stack, l, sublayer, names[2]), inner);
    double *y = attend(r, which, n, q, n_k, k, v);
    add_to(x, times(n, y, inner, weight_of(r, stack, l, sublayer, names[3]), d), n * d);
    free(h);
    free(q);
    free(k);
    free(v);
    free(y);
}

static double gelu_new(double g)
{
    return 0.5 * g * (1 + tanh(sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g)));
}

static void feed_forward_layer(const reference *r, const char *stack, int sublayer, size_t l,
                               size_t n, double *x)
{
    size_t d = r->c->d_model, d_ff = r->c->d_ff;
    bool gated = r->c->ff_act == MODEL_FF_GATED_GELU;
    double *h = normed(r, n, x, weight_of(r, stack, l, sublayer, "layer_norm"));
    const char *first = gated ? "DenseReluDense.wi_0" : "DenseReluDense.wi";
    double *a = times(n, h, d, weight_of(r, stack, l, sublayer, first), d_ff);
    if (gated) {
        double *up = times(n, h, d, weight_of(r, stack, l, sublayer, "DenseReluDense.wi_1"), d_ff);
        for (size_t i = 0; i < n * d_ff; i++) a[i] = gelu_new(a[i]) * up[i];
        free(up);
    }
    for (size_t i = 0; !gated && i < n * d_ff; i++) a[i] = fmax(a[i], 0);
    const double *wo = weight_of(r, stack, l, sublayer, "DenseReluDense.wo");
    add_to(x, times(n, a, d_ff, wo, d), n * d);
    free(h);
    free(a);
}

static double *embedded(const reference *r, const uint32_t *ids, size_t n)
{
    size_t d = r->c->d_model;
    const double *table = named(r, "shared.weight");
    double *x = rt_calloc(n * d, sizeof *x);
    for (size_t i = 0; i < n * d; i++) x[i] = table[ids[i / d] * d + i % d];
    return x;
}

double toy_t5_sequence_loss(const model_config *config, const param_table *table,
                            const double *weights, const uint32_t *ids, size_t n_prompt,
                            size_t n_target)
{
    reference r = {config, table, weights};
    size_t d = config->d_model, n_vocab = config->n_vocab;
    double loss = 0, *x = embedded(&r, ids, n_prompt);
    for (size_t l = 0; l < config->n_layers; l++) {
        attention_layer(&r, ENCODER_SELF, l, n_prompt, x, n_prompt, NULL);
        feed_forward_layer(&r, "encoder", 1, l, n_prompt, x);
    }
    double *memory = normed(&r, n_prompt, x, named(&r, "encoder.final_layer_norm.weight"));
    uint32_t *read = rt_calloc(n_target, sizeof *read);
    read[0] = config->decoder_start_id;
    for (size_t j = 1; j < n_target; j++) read[j] = ids[n_prompt + j - 1];
    double *y = embedded(&r, read, n_target);
    for (size_t l = 0; l < config->n_decoder_layers; l++) {
        attention_layer(&r, DECODER_SELF, l, n_target, y, n_target, NULL);
        attention_layer(&r, CROSS, l, n_target, y, n_prompt, memory);
        feed_forward_layer(&r, "decoder", 2, l, n_target, y);
    }
    double *h = normed(&r, n_target, y, named(&r, "decoder.final_layer_norm.weight"));
    for (size_t i = 0; config->tied && i < n_target * d; i++) h[i] *= pow((double)d, -0.5);
    double *z = times(n_target, h, d, named(&r, config->tied ? "shared.weight" : "lm_head.weight"),
                      n_vocab);
    for (size_t j = 0; j < n_target; j++) {
        double total = 0;
        for (size_t c = 0; c < n_vocab; c++) total += exp(z[j * n_vocab + c]);
        loss += log(total) - z[j * n_vocab + ids[n_prompt + j]];
    }
    double *buffers[] = {x, memory, y, h, z};
    for (size_t i = 0; i < RT_COUNT(buffers); i++) free(buffers[i]);
    free(read);
    return loss;
}
