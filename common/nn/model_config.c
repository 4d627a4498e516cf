#include "common/nn/model_config.h"

#include <math.h>

/* Limits keep every size below what BLAS can index and every product below overflow. */
#define VOCAB_MAX    ((size_t)1 << 24)
#define WIDTH_MAX    ((size_t)1 << 20)
#define LAYERS_MAX   ((size_t)1024)
#define SEQ_LEN_MAX  ((size_t)1 << 20)
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

static rt_status check_relations(const model_config *c, rt_error *err)
{
    if (c->n_heads % c->n_kv_heads != 0)
        return rt_fail(err, RT_INVALID,
                       "model: n_heads is %zu, expected a multiple of n_kv_heads (%zu)", c->n_heads,
                       c->n_kv_heads);
    if (c->d_head % 2 != 0)
        return rt_fail(
            err, RT_INVALID,
            "model: d_head is %zu, expected an even number (rotary positions turn pairs)",
            c->d_head);
    if (c->n_heads * c->d_head > WIDTH_MAX)
        return rt_fail(err, RT_INVALID, "model: n_heads * d_head is %zu, expected at most %zu",
                       c->n_heads * c->d_head, WIDTH_MAX);
    size_t n_layer = c->d_model * (2 * (c->n_heads + c->n_kv_heads) * c->d_head + 3 * c->d_ff + 2);
    size_t n_total = 2 * c->n_vocab * c->d_model + c->n_layers * n_layer + c->d_model;
    if (n_total > ELEMENTS_MAX || c->seq_len_max * c->d_head > ELEMENTS_MAX)
        return rt_fail(err, RT_INVALID, "model: %zu parameters, expected at most %zu", n_total,
                       ELEMENTS_MAX);
    return RT_OK;
}

rt_status model_config_check(const model_config *config, rt_error *err)
{
    const model_config *c = config;
    if (c->arch != MODEL_ARCH_LLAMA)
        return rt_fail(err, RT_INVALID, "model: arch is %d, expected llama (%d)", (int)c->arch,
                       MODEL_ARCH_LLAMA);
    rt_status st = check_sizes(c, err);
    if (st == RT_OK) st = check_relations(c, err);
    if (st != RT_OK) return st;
    /* Written so that NaN fails too. */
    if (!(c->rope_theta >= 1.0f && isfinite(c->rope_theta)))
        return rt_fail(err, RT_INVALID, "model: rope_theta is %g, expected a number of at least 1",
                       (double)c->rope_theta);
    if (!(c->norm_eps > 0.0f && c->norm_eps < 1.0f))
        return rt_fail(err, RT_INVALID, "model: norm_eps is %g, expected above 0 and below 1",
                       (double)c->norm_eps);
    if (!(c->dropout >= 0.0f && c->dropout < 1.0f))
        return rt_fail(err, RT_INVALID, "model: dropout is %g, expected at least 0 and below 1",
                       (double)c->dropout);
    return RT_OK;
}
