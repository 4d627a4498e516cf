#include "common/nn/model_cost.h"

#include <string.h>

#include "common/nn/loss/head_loss.h"
#include "common/nn/param_table.h"

#define BYTES ((double)sizeof(float))

const char *model_part_name(model_part part)
{
    static const char *const names[MODEL_N_PARTS] = {
        [MODEL_PART_EMBEDDING] = "embedding",
        [MODEL_PART_ATTENTION] = "attention",
        [MODEL_PART_CROSS] = "cross-attention",
        [MODEL_PART_FEED_FORWARD] = "feed-forward",
        [MODEL_PART_NORM] = "norms",
        [MODEL_PART_BIAS] = "position biases",
        [MODEL_PART_HEAD] = "head",
        [MODEL_PART_ALL] = "all",
    };
    return (unsigned)part < MODEL_N_PARTS ? names[part] : "unknown";
}

/* ---- parameters ---- */

static model_part part_of(const param *p)
{
    switch (p->group) {
    case PARAM_GROUP_EMBEDDING: return MODEL_PART_EMBEDDING;
    case PARAM_GROUP_NORM: return MODEL_PART_NORM;
    case PARAM_GROUP_BIAS: return MODEL_PART_BIAS;
    case PARAM_GROUP_MATRIX: break;
    }
    if (strcmp(p->name, "lm_head.weight") == 0 || strcmp(p->name, "model.head_proj.weight") == 0)
        return MODEL_PART_HEAD;
    if (strcmp(p->name, "model.embed_proj.weight") == 0) return MODEL_PART_EMBEDDING;
    if (strstr(p->name, "EncDecAttention") != NULL) return MODEL_PART_CROSS;
    bool attends = strstr(p->name, "self_attn") != NULL || strstr(p->name, "SelfAttention") != NULL;
    return attends ? MODEL_PART_ATTENTION : MODEL_PART_FEED_FORWARD;
}

static rt_status count_params(const model_config *c, model_cost *cost, rt_error *err)
{
    param_table table = {0};
    rt_status st = param_table_build(c, &table, err);
    for (size_t i = 0; st == RT_OK && i < table.n_params; i++)
        if (table.params[i].alias_of < 0)
            cost->params[part_of(&table.params[i])] += table.params[i].n;
    cost->params[MODEL_PART_ALL] = table.n_total;
    param_table_free(&table);
    return st;
}

/* ---- operations and activations ---- */

/* One stack of equal layers over one axis of tokens. Numbers are for each layer. */
typedef struct stack {
    double n_layers;
    double products;   /* multiplications of the matrices, for a token */
    double attended;   /* the same for a token and one key that it looks at */
    double activation; /* floats that the tape keeps for a token */
    double widest;     /* largest gradient on its way, and what is made again for it */
} stack;

static double feed_forward_products(const model_config *c)
{
    bool gated = c->ff_act != MODEL_FF_RELU;
    return (gated ? 3.0 : 2.0) * (double)c->d_model * (double)c->d_ff;
}

/* Float32 rows that are kept: fused q k v, attention, its log-sums, sum; feed-forward, sum; 1 / rms of
 * two norms. A gated layer keeps both halves, ReLU works in place. What a norm, a gate or the
 * projection before a sum writes is given back (tape_forget). */
static stack self_stack(const model_config *c, size_t n_layers)
{
    double d = (double)c->d_model, q = (double)(c->n_heads * c->d_head),
           kv = (double)(c->n_kv_heads * c->d_head), ff = (double)c->d_ff;
    bool gated = c->ff_act != MODEL_FF_RELU;
    return (stack){
        .n_layers = (double)n_layers,
        .products = d * (2 * q + 2 * kv) + feed_forward_products(c),
        .attended = 2 * q,
        .activation = 2 * d + 2 * q + 2 * kv + (double)c->n_heads + 2 + (gated ? 2 : 1) * ff,
        .widest = (q + 2 * kv > 2 * ff ? q + 2 * kv : 2 * ff) + ff + 3 * d,
    };
}

/* Keys that n tokens after the first n_before look at together, each at all up to itself. */
static double keys_seen(double n_before, double n)
{
    return n * n_before + n * (n + 1) / 2;
}

/* Decoder-only: one axis, the prompt and then the target. */
static void cost_llama(const model_config *c, const model_workload *w, model_cost *cost)
{
    stack s = self_stack(c, c->n_layers);
    double prompt = (double)w->n_prompt, target = (double)w->n_target, d = (double)c->d_model;
    /* A factorised embedding: d x d_embed on the way in, the same and d_embed x n_vocab behind. */
    double width = c->d_embed != 0 ? (double)c->d_embed : d;
    double turn = c->d_embed != 0 ? d * width : 0, head = turn + width * (double)c->n_vocab;
    double layers_prompt = s.products + s.attended * keys_seen(0, prompt) / prompt;
    double layers_target = s.products + s.attended * keys_seen(prompt, target) / target;
    cost->flops_prompt_token = 2 * (turn + s.n_layers * layers_prompt);
    cost->flops_target_token = 2 * (turn + s.n_layers * layers_target + head);
    double n = (double)w->n_seqs;
    cost->activation_bytes =
        BYTES * n * (prompt + target) *
        (d + (c->d_embed != 0 ? width : 0) + s.n_layers * s.activation + s.widest);
    cost->cache_prompt_bytes = BYTES * s.n_layers * 2 * (double)(c->n_kv_heads * c->d_head);
    cost->cache_target_bytes = cost->cache_prompt_bytes;
}

/* The encoder reads the prompt, each token all of it; the decoder writes the target and looks at the
 * encoder's output, whose keys and values are made once for each of its layers. */
static void cost_t5(const model_config *c, const model_workload *w, model_cost *cost)
{
    stack e = self_stack(c, c->n_layers), s = self_stack(c, c->n_decoder_layers);
    double prompt = (double)w->n_prompt, target = (double)w->n_target, d = (double)c->d_model,
           inner = (double)(c->n_heads * c->d_head), n = (double)w->n_seqs;
    double cross_kv = s.n_layers * 2 * d * inner;
    double head = d * (double)c->n_vocab;
    cost->flops_prompt_token = 2 * (e.n_layers * (e.products + e.attended * prompt) + cross_kv);
    cost->flops_target_token =
        2 * (s.n_layers * (s.products + s.attended * keys_seen(0, target) / target + 2 * d * inner +
                           2 * inner * prompt) +
             head);
    double encoder = prompt * (2 * d + e.n_layers * e.activation + s.n_layers * 2 * inner);
    double cross = d + 2 * inner + (double)c->n_heads + 1; /* q, attention, sum */
    double decoder = target * (d + s.n_layers * (s.activation + cross));
    cost->activation_bytes = BYTES * n * (encoder + decoder + (prompt + target) * e.widest);
    cost->cache_prompt_bytes = BYTES * s.n_layers * 2 * inner;
    cost->cache_target_bytes = BYTES * s.n_layers * 2 * inner;
}

rt_status model_cost_of(const model_config *config, const model_workload *work, model_cost *out,
                        rt_error *err)
{
    model_cost cost = {0};
    if (work->n_seqs == 0 || work->n_prompt == 0 || work->n_target == 0)
        return rt_fail(err, RT_INVALID, "a workload of no sequence, prompt or target token");
    rt_status st = count_params(config, &cost, err);
    if (st != RT_OK) return st;
    if (model_config_has_encoder(config))
        cost_t5(config, work, &cost);
    else
        cost_llama(config, work, &cost);
    double n = (double)work->n_seqs, prompt = (double)work->n_prompt,
           target = (double)work->n_target, all = (double)cost.params[MODEL_PART_ALL];
    cost.flops_forward = n * (prompt * cost.flops_prompt_token + target * cost.flops_target_token);
    cost.flops_training = 3 * cost.flops_forward;
    cost.weight_bytes = cost.gradient_bytes = BYTES * all;
    cost.optimizer_bytes = 2 * BYTES * all;
    /* Rows gathered for the head, their norm, and one block of logits. */
    double rows = n * target, block = (double)head_loss_block_rows(config->n_vocab);
    cost.activation_bytes += BYTES * (2 * rows * (double)config->d_model +
                                      (rows < block ? rows : block) * (double)config->n_vocab);
    *out = cost;
    return RT_OK;
}
