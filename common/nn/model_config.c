#include "common/nn/model_config.h"

#include <math.h>

/* Limits keep every size below what BLAS can index and every product below overflow. */
#define VOCAB_MAX    ((size_t)1 << 24)
#define WIDTH_MAX    ((size_t)1 << 20)
#define LAYERS_MAX   ((size_t)1024)
#define SEQ_LEN_MAX  ((size_t)1 << 20)
#define BUCKETS_MAX  ((size_t)1 << 10)
#define ELEMENTS_MAX ((size_t)1 << 40)

static rt_status check_range(const char *name, size_t value, size_t low, size_t high, rt_error *err)
{
    if (value >= low && value <= high) return RT_OK;
    return rt_fail(err, RT_INVALID, "model: %s is %zu, expected %zu to %zu", name, value, low,
                   high);
}

static rt_status check_sizes(const model_config *c, rt_error *err)
{
    const struct {
        const char *name;
        size_t value, low, high;
    } fields[] = {
        {"n_vocab", c->n_vocab, 2, VOCAB_MAX},
        {"d_model", c->d_model, 1, WIDTH_MAX},
        {"n_layers", c->n_layers, 1, LAYERS_MAX},
        {"n_heads", c->n_heads, 1, WIDTH_MAX},
        {"n_kv_heads", c->n_kv_heads, 1, c->n_heads},
        {"d_head", c->d_head, 2, WIDTH_MAX},
        {"d_ff", c->d_ff, 1, WIDTH_MAX},
        {"seq_len_max", c->seq_len_max, 1, SEQ_LEN_MAX},
        {"bos_id", c->bos_id, 0, c->n_vocab - 1},
        {"eos_id", c->eos_id, 0, c->n_vocab - 1},
        {"pad_id", c->pad_id, 0, c->n_vocab - 1},
    };
    for (size_t i = 0; i < RT_COUNT(fields); i++) {
        rt_status st =
            check_range(fields[i].name, fields[i].value, fields[i].low, fields[i].high, err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

/* All parameters, norms and an untied head included; far below overflow within the limits above. */
static size_t count_params(const model_config *c)
{
    size_t d = c->d_model, inner = c->n_heads * c->d_head;
    if (c->arch == MODEL_ARCH_LLAMA) {
        size_t n_layer = d * (2 * (inner + c->n_kv_heads * c->d_head) + 3 * c->d_ff + 2);
        return 2 * c->n_vocab * d + c->n_layers * n_layer + d;
    }
    size_t n_ff = (c->ff_act == MODEL_FF_GATED_GELU ? 3 : 2) * c->d_ff;
    return (c->tied ? 1 : 2) * c->n_vocab * d + c->n_layers * d * (4 * inner + n_ff + 2) +
           c->n_decoder_layers * d * (8 * inner + n_ff + 3) + 2 * d +
           2 * c->rel_buckets * c->n_heads;
}

static rt_status check_relations(const model_config *c, rt_error *err)
{
    if (c->n_heads % c->n_kv_heads != 0)
        return rt_fail(err, RT_INVALID,
                       "model: n_heads is %zu, expected a multiple of n_kv_heads (%zu)", c->n_heads,
                       c->n_kv_heads);
    if (c->arch == MODEL_ARCH_LLAMA && c->d_head % 2 != 0)
        return rt_fail(
            err, RT_INVALID,
            "model: d_head is %zu, expected an even number (rotary positions turn pairs)",
            c->d_head);
    if (c->n_heads * c->d_head > WIDTH_MAX)
        return rt_fail(err, RT_INVALID, "model: n_heads * d_head is %zu, expected at most %zu",
                       c->n_heads * c->d_head, WIDTH_MAX);
    size_t n_total = count_params(c);
    if (n_total > ELEMENTS_MAX || c->seq_len_max * c->d_head > ELEMENTS_MAX)
        return rt_fail(err, RT_INVALID, "model: %zu parameters, expected at most %zu", n_total,
                       ELEMENTS_MAX);
    return RT_OK;
}

/* Half of the buckets (of each sign, in the encoder) hold one distance each, so four is the
 * smallest table, and the logarithmic half must have something to spread over. */
static rt_status check_t5(const model_config *c, rt_error *err)
{
    rt_status st = check_range("n_decoder_layers", c->n_decoder_layers, 1, LAYERS_MAX, err);
    if (st == RT_OK) st = check_range("rel_buckets", c->rel_buckets, 4, BUCKETS_MAX, err);
    if (st == RT_OK && c->rel_buckets % 4 != 0)
        st = rt_fail(err, RT_INVALID, "model: rel_buckets is %zu, expected a multiple of 4",
                     c->rel_buckets);
    if (st == RT_OK)
        st = check_range("rel_distance_max", c->rel_distance_max, c->rel_buckets / 2 + 1,
                         SEQ_LEN_MAX, err);
    if (st == RT_OK)
        st = check_range("decoder_start_id", c->decoder_start_id, 0, c->n_vocab - 1, err);
    if (st != RT_OK) return st;
    if (c->n_layer_groups != 0 || c->d_embed != 0)
        return rt_fail(err, RT_INVALID,
                       "model: n_layer_groups is %zu and d_embed %zu, expected 0 for t5",
                       c->n_layer_groups, c->d_embed);
    if (c->n_kv_heads != c->n_heads)
        return rt_fail(err, RT_INVALID, "model: n_kv_heads is %zu, expected n_heads (%zu) for t5",
                       c->n_kv_heads, c->n_heads);
    if (c->ff_act != MODEL_FF_RELU && c->ff_act != MODEL_FF_GATED_GELU)
        return rt_fail(err, RT_INVALID, "model: ff_act is %d, expected relu or gated_gelu for t5",
                       (int)c->ff_act);
    return RT_OK;
}

static rt_status check_llama(const model_config *c, rt_error *err)
{
    rt_status st = check_range("n_layer_groups", c->n_layer_groups, 0, c->n_layers, err);
    if (st == RT_OK) st = check_range("d_embed", c->d_embed, 0, c->d_model, err);
    if (st != RT_OK) return st;
    /* Written so that NaN fails too. */
    if (!(c->rope_theta >= 1.0f && isfinite(c->rope_theta)))
        return rt_fail(err, RT_INVALID, "model: rope_theta is %g, expected a number of at least 1",
                       (double)c->rope_theta);
    if (c->ff_act != MODEL_FF_SWIGLU)
        return rt_fail(err, RT_INVALID, "model: ff_act is %d, expected swiglu for llama",
                       (int)c->ff_act);
    return RT_OK;
}

const char *model_arch_name(model_arch arch)
{
    switch (arch) {
    case MODEL_ARCH_LLAMA: return "llama";
    case MODEL_ARCH_T5: return "t5";
    }
    return NULL;
}

bool model_config_has_encoder(const model_config *config)
{
    return config->arch == MODEL_ARCH_T5;
}

uint32_t model_config_prompt_id(const model_config *config)
{
    return model_config_has_encoder(config) ? config->eos_id : config->bos_id;
}

rt_status model_config_check(const model_config *config, rt_error *err)
{
    const model_config *c = config;
    if (model_arch_name(c->arch) == NULL)
        return rt_fail(err, RT_INVALID, "model: arch is %d, expected llama (%d) or t5 (%d)",
                       (int)c->arch, MODEL_ARCH_LLAMA, MODEL_ARCH_T5);
    rt_status st = check_sizes(c, err);
    if (st == RT_OK) st = check_relations(c, err);
    if (st == RT_OK) st = c->arch == MODEL_ARCH_T5 ? check_t5(c, err) : check_llama(c, err);
    if (st != RT_OK) return st;
    if (!(c->norm_eps > 0.0f && c->norm_eps < 1.0f))
        return rt_fail(err, RT_INVALID, "model: norm_eps is %g, expected above 0 and below 1",
                       (double)c->norm_eps);
    if (!(c->dropout >= 0.0f && c->dropout < 1.0f))
        return rt_fail(err, RT_INVALID, "model: dropout is %g, expected at least 0 and below 1",
                       (double)c->dropout);
    return RT_OK;
}
