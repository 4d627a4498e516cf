#include "tests/unit/nn/toy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"

model_config toy_config(void)
{
    return (model_config){.arch = MODEL_ARCH_LLAMA,
                          .n_vocab = 13,
                          .d_model = 12,
                          .n_layers = 2,
                          .n_heads = 4,
                          .n_kv_heads = 2,
                          .d_head = 6,
                          .d_ff = 10,
                          .seq_len_max = 256,
                          .rope_theta = 10000,
                          .norm_eps = 1e-5f,
                          .tied = true,
                          .bos_id = 1,
                          .eos_id = 2};
}

model_config toy_t5_config(void)
{
    model_config c = toy_config();
    c.arch = MODEL_ARCH_T5;
    c.n_layers = 1;
    c.n_heads = c.n_kv_heads = 2;
    c.d_head = 5;
    c.rope_theta = 0;
    c.norm_eps = 1e-6f;
    c.tied = false;
    c.bos_id = c.pad_id = c.decoder_start_id = 0;
    c.eos_id = 1;
    c.n_decoder_layers = 2;
    c.rel_buckets = 8;
    c.rel_distance_max = 12;
    c.ff_act = MODEL_FF_GATED_GELU;
    return c;
}

model *toy_model(const model_config *config, uint64_t seed)
{
    rt_error err = {0};
    model *m = NULL;
    if (model_new(config, &m, &err) != RT_OK) {
        fprintf(stderr, "toy_model: %s\n", err.text);
        abort();
    }
    param_table_init(model_table(m), config, seed, model_weights(m));
    return m;
}

void toy_stir(model *m, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "stir", (rt_id){0}, 0);
    float *w = model_weights(m);
    for (size_t i = 0; i < model_table(m)->n_total; i++)
        w[i] = 1.5f * w[i] + 0.2f * rng_normal(key, i);
}

void toy_add(toy_batch *b, size_t n_vocab, size_t n_prompt, size_t n_target, uint32_t task,
             uint64_t seed)
{
    rng_key key = rng_key_make(seed, "toy", (rt_id){.low = seed}, 0);
    size_t n = n_prompt + n_target;
    RT_ASSERT(b->n_seqs < TOY_SEQS_MAX && b->n_tokens + n <= TOY_TOKENS_MAX);
    for (size_t i = 0; i < n; i++) b->ids[b->n_tokens + i] = (uint32_t)rng_below(key, i, n_vocab);
    b->seqs[b->n_seqs++] = (packed_seq){.first = b->n_tokens,
                                        .n_prompt = n_prompt,
                                        .n_target = n_target,
                                        .task = task,
                                        .weight = 1,
                                        .record_id = {.low = seed}};
    b->n_tokens += n;
}

packed_batch toy_view(const toy_batch *b)
{
    return (packed_batch){
        .ids = b->ids, .n_tokens = b->n_tokens, .seqs = b->seqs, .n_seqs = b->n_seqs, .seed = 5};
}

loss_spec toy_spec(const toy_batch *b, float weight_0, float weight_1)
{
    loss_spec spec = {.n_tasks = 2, .tasks = {{.weight = weight_0}, {.weight = weight_1}}};
    for (size_t i = 0; i < b->n_seqs; i++)
        spec.tasks[b->seqs[i].task].count +=
            (double)b->seqs[i].weight * (double)b->seqs[i].n_target;
    return spec;
}

/* What the reference carries around. */
typedef struct reference {
    const model_config *c;
    const param_table *table;
    const double *weights;
    size_t n; /* tokens of the sequence */
} reference;

static const double *weight_of(const reference *r, const char *name)
{
    int i = param_table_find(r->table, name);
    RT_ASSERT(i >= 0);
    return r->weights + r->table->params[i].offset;
}

static const double *layer_weight(const reference *r, size_t i_layer, const char *part)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%zu.%s.weight", i_layer, part);
    return weight_of(r, name);
}

/* y[n, d_out] = x[n, d_in] w^T. */
static double *times(const reference *r, const double *x, size_t d_in, const double *w,
                     size_t d_out)
{
    double *y = rt_calloc(r->n * d_out, sizeof *y);
    for (size_t i = 0; i < r->n; i++)
        for (size_t o = 0; o < d_out; o++)
            for (size_t c = 0; c < d_in; c++) y[i * d_out + o] += x[i * d_in + c] * w[o * d_in + c];
    return y;
}

static double *normed(const reference *r, const double *x, const double *gain)
{
    size_t d = r->c->d_model;
    double *y = rt_calloc(r->n * d, sizeof *y);
    for (size_t i = 0; i < r->n; i++) {
        double sum = 0;
        for (size_t c = 0; c < d; c++) sum += x[i * d + c] * x[i * d + c];
        for (size_t c = 0; c < d; c++)
            y[i * d + c] = x[i * d + c] / sqrt(sum / (double)d + r->c->norm_eps) * gain[c];
    }
    return y;
}

/* Rotate as complex numbers: pair c of a head turns by position * theta^(-2c/d). */
static void rotate(const reference *r, double *x, size_t n_heads)
{
    size_t d = r->c->d_head;
    for (size_t i = 0; i < r->n; i++) {
        for (size_t h = 0; h < n_heads; h++) {
            double *v = x + (i * n_heads + h) * d;
            for (size_t c = 0; c < d / 2; c++) {
                double angle = (double)i / pow(r->c->rope_theta, 2.0 * (double)c / (double)d);
                double a = v[c], b = v[c + d / 2];
                v[c] = a * cos(angle) - b * sin(angle);
                v[c + d / 2] = a * sin(angle) + b * cos(angle);
            }
        }
    }
}

static double *attend(const reference *r, const double *q, const double *k, const double *v)
{
    size_t n_heads = r->c->n_heads, n_kv = r->c->n_kv_heads, d = r->c->d_head;
    double *y = rt_calloc(r->n * n_heads * d, sizeof *y);
    double *p = rt_calloc(r->n, sizeof *p);
    for (size_t i = 0; i < r->n; i++) {
        for (size_t h = 0; h < n_heads; h++) {
            size_t g = h * n_kv / n_heads;
            double total = 0;
            for (size_t j = 0; j <= i; j++) {
                double score = 0;
                for (size_t c = 0; c < d; c++)
                    score += q[(i * n_heads + h) * d + c] * k[(j * n_kv + g) * d + c];
                p[j] = exp(score / sqrt((double)d));
                total += p[j];
            }
            for (size_t j = 0; j <= i; j++)
                for (size_t c = 0; c < d; c++)
                    y[(i * n_heads + h) * d + c] += p[j] / total * v[(j * n_kv + g) * d + c];
        }
    }
    free(p);
    return y;
}

static void add_to(double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += y[i];
    free(y);
}

static void attention_layer(const reference *r, size_t l, double *x)
{
    size_t d = r->c->d_model, n_q = r->c->n_heads * r->c->d_head;
    size_t n_kv = r->c->n_kv_heads * r->c->d_head;
    double *h = normed(r, x, layer_weight(r, l, "input_layernorm"));
    double *q = times(r, h, d, layer_weight(r, l, "self_attn.q_proj"), n_q);
    double *k = times(r, h, d, layer_weight(r, l, "self_attn.k_proj"), n_kv);
    double *v = times(r, h, d, layer_weight(r, l, "self_attn.v_proj"), n_kv);
    rotate(r, q, r->c->n_heads);
    rotate(r, k, r->c->n_kv_heads);
    double *y = attend(r, q, k, v);
    add_to(x, times(r, y, n_q, layer_weight(r, l, "self_attn.o_proj"), d), r->n * d);
    free(h);
    free(q);
    free(k);
    free(v);
    free(y);
}

static void feed_forward_layer(const reference *r, size_t l, double *x)
{
    size_t d = r->c->d_model, d_ff = r->c->d_ff;
    double *h = normed(r, x, layer_weight(r, l, "post_attention_layernorm"));
    double *gate = times(r, h, d, layer_weight(r, l, "mlp.gate_proj"), d_ff);
    double *up = times(r, h, d, layer_weight(r, l, "mlp.up_proj"), d_ff);
    for (size_t i = 0; i < r->n * d_ff; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    add_to(x, times(r, gate, d_ff, layer_weight(r, l, "mlp.down_proj"), d), r->n * d);
    free(h);
    free(gate);
    free(up);
}

/* Rows of the embedding; a factorised one is projected to d_model. */
static double *embedded(const reference *r, const uint32_t *ids)
{
    size_t e = r->c->d_embed != 0 ? r->c->d_embed : r->c->d_model;
    const double *embedding = weight_of(r, "model.embed_tokens.weight");
    double *x = rt_calloc(r->n * e, sizeof *x);
    for (size_t i = 0; i < r->n * e; i++) x[i] = embedding[ids[i / e] * e + i % e];
    if (r->c->d_embed == 0) return x;
    double *wide = times(r, x, e, weight_of(r, "model.embed_proj.weight"), r->c->d_model);
    free(x);
    return wide;
}

/* h[n, d_model] to logits. */
static double *headed(const reference *r, const double *h)
{
    size_t d = r->c->d_model, e = r->c->d_embed, n_vocab = r->c->n_vocab;
    const double *head = weight_of(r, "lm_head.weight");
    if (e == 0) return times(r, h, d, head, n_vocab);
    double *narrow = times(r, h, d, weight_of(r, "model.head_proj.weight"), e);
    double *z = times(r, narrow, e, head, n_vocab);
    free(narrow);
    return z;
}

static double sequence_loss(const reference *r, const uint32_t *ids, size_t n_prompt,
                            size_t n_target)
{
    size_t n_vocab = r->c->n_vocab;
    double *x = embedded(r, ids);
    for (size_t l = 0; l < r->c->n_layers; l++) {
        attention_layer(r, l, x);
        feed_forward_layer(r, l, x);
    }
    double *h = normed(r, x, weight_of(r, "model.norm.weight"));
    double *z = headed(r, h);
    double loss = 0;
    for (size_t j = 0; j < n_target; j++) {
        const double *row = z + (n_prompt + j - 1) * n_vocab;
        double total = 0;
        for (size_t c = 0; c < n_vocab; c++) total += exp(row[c]);
        loss += log(total) - row[ids[n_prompt + j]];
    }
    free(x);
    free(h);
    free(z);
    return loss;
}

double toy_reference_loss(const model_config *config, const param_table *table,
                          const double *weights, const packed_batch *batch, const loss_spec *spec)
{
    double loss = 0;
    for (size_t i = 0; i < batch->n_seqs; i++) {
        const packed_seq *s = &batch->seqs[i];
        reference r = {
            .c = config, .table = table, .weights = weights, .n = s->n_prompt + s->n_target};
        const loss_task *task = &spec->tasks[s->task];
        const uint32_t *ids = batch->ids + s->first;
        loss += task->weight / task->count * s->weight *
                (config->arch == MODEL_ARCH_T5
                     ? toy_t5_sequence_loss(config, table, weights, ids, s->n_prompt, s->n_target)
                     : sequence_loss(&r, ids, s->n_prompt, s->n_target));
    }
    return loss;
}

loss_sums toy_gradient(model *m, const toy_batch *b, loss_spec spec)
{
    rt_error err = {0};
    loss_sums sums = {0};
    packed_batch view = toy_view(b);
    if (model_gradient(m, &view, &spec, &sums, &err) == RT_OK) return sums;
    fprintf(stderr, "toy_gradient: %s\n", err.text);
    abort();
}

float *toy_copy_grads(const model *m)
{
    size_t n = model_table(m)->n_total;
    float *copy = rt_calloc(n, sizeof *copy);
    memcpy(copy, model_grads(m), n * sizeof *copy);
    return copy;
}

/* Central differences of the reference's loss; w comes back as it was. */
static void numeric_gradient(const model_config *config, const param_table *table,
                             const packed_batch *batch, const loss_spec *spec, double *w,
                             float *out)
{
    const double h = 1e-5;
    for (size_t i = 0; i < table->n_total; i++) {
        double at = w[i];
        w[i] = at + h;
        double above = toy_reference_loss(config, table, w, batch, spec);
        w[i] = at - h;
        double below = toy_reference_loss(config, table, w, batch, spec);
        w[i] = at;
        out[i] = (float)((above - below) / (2 * h));
    }
}

double toy_gradient_error(const model_config *config, const toy_batch *b, loss_spec spec,
                          const char **name)
{
    static char worst_name[128];
    model *m = toy_model(config, 3);
    toy_stir(m, 4);
    const param_table *table = model_table(m);
    packed_batch view = toy_view(b);
    double *w = rt_calloc(table->n_total, sizeof *w), worst = 0, loss = 0;
    float *numeric = rt_calloc(table->n_total, sizeof *numeric);
    for (size_t i = 0; i < table->n_total; i++) w[i] = model_weights(m)[i];
    loss_sums sums = toy_gradient(m, b, spec);
    for (size_t k = 0; k < spec.n_tasks; k++)
        if (spec.tasks[k].count > 0)
            loss += spec.tasks[k].weight * sums.loss[k] / spec.tasks[k].count;
    numeric_gradient(config, table, &view, &spec, w, numeric);
    for (size_t k = 0; k < table->n_params; k++) {
        const param *p = &table->params[k];
        double apart = toy_distance(model_grads(m) + p->offset, numeric + p->offset, p->n);
        if (apart <= worst) continue;
        worst = apart;
        memcpy(worst_name, p->name, sizeof worst_name);
    }
    if (!(fabs(loss - toy_reference_loss(config, table, w, &view, &spec)) < 1e-5)) {
        worst = INFINITY;
        memcpy(worst_name, "loss", 5);
    }
    *name = worst_name;
    free(w);
    free(numeric);
    model_free(m);
    return worst;
}

double toy_distance(const float *a, const float *b, size_t n)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        apart += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    if (apart == 0) return 0;
    return sqrt(apart) / sqrt(size);
}
