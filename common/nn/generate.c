#include "common/nn/generate.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm.h"
#include "common/nn/model/model_state.h"
#include "common/nn/parallel.h"
#include "common/nn/sample.h"

/* Prompt tokens that are read in one forward pass, and rows whose logits exist at one time. */
#define PREFILL_TOKENS 1024
#define LOGIT_ROWS     ((size_t)64)

/* The state of one call. Finished sequences leave `live`, so a step has one row for each that
 * still runs. */
typedef struct generation {
    model *m;
    const generate_prompt *prompts;
    size_t n;
    const generate_options *options;
    decoder *d;
    sampler *choose;
    generated *out; /* [n] */
    rng_key *keys;  /* [n] */
    size_t *limits; /* [n], tokens that may still be predicted in all */
    uint32_t *live; /* [n_live], sequence numbers */
    uint32_t *last; /* [n_live], token to read next */
    size_t n_live;
    float *hidden; /* [n, d_model] */
    float *logits; /* [LOGIT_ROWS, n_vocab] */
} generation;

static rt_status check_prompts(const model_config *c, const generate_prompt *prompts, size_t n,
                               const generate_options *options, rt_error *err)
{
    if (options->max_new_tokens == 0)
        return rt_fail(err, RT_INVALID, "decoding: max_new_tokens is 0, expected at least 1");
    for (size_t i = 0; i < n; i++) {
        const generate_prompt *p = &prompts[i];
        if (p->n_ids == 0 || p->n_ids >= c->seq_len_max)
            return rt_fail(
                err, RT_INVALID,
                "decoding: prompt %zu has %zu tokens, expected 1 to %zu (the model reads "
                "%zu in all)",
                i, p->n_ids, c->seq_len_max - 1, c->seq_len_max);
        for (size_t j = 0; j < p->n_ids; j++)
            if (p->ids[j] >= c->n_vocab)
                return rt_fail(err, RT_INVALID,
                               "decoding: token %zu of prompt %zu has id %u, expected below %zu", j,
                               i, p->ids[j], c->n_vocab);
    }
    return RT_OK;
}

static rt_status prepare(generation *g, rt_error *err)
{
    const model_config *c = &g->m->config;
    size_t n = g->n;
    g->out = rt_calloc(n, sizeof *g->out);
    g->keys = rt_calloc(n, sizeof *g->keys);
    g->limits = rt_calloc(n, sizeof *g->limits);
    g->live = rt_calloc(n, sizeof *g->live);
    g->last = rt_calloc(n, sizeof *g->last);
    g->hidden = rt_calloc(n * c->d_model, sizeof *g->hidden);
    g->logits = rt_calloc(LOGIT_ROWS * c->n_vocab, sizeof *g->logits);
    size_t *capacities = rt_calloc(n, sizeof *capacities);
    bool complete = g->out != NULL && g->keys != NULL && g->limits != NULL && g->live != NULL &&
                    g->last != NULL && g->hidden != NULL && g->logits != NULL && capacities != NULL;
    for (size_t i = 0; complete && i < n; i++) {
        const generate_prompt *p = &g->prompts[i];
        g->limits[i] = RT_MIN(g->options->max_new_tokens, c->seq_len_max - p->n_ids);
        capacities[i] = p->n_ids + g->limits[i];
        g->keys[i] = rng_key_make(g->options->seed, "sample", p->record_id, p->sample);
        g->live[i] = (uint32_t)i;
        g->out[i].ids = rt_calloc(g->limits[i], sizeof(uint32_t));
        complete = g->out[i].ids != NULL;
    }
    g->n_live = n;
    rt_status st = RT_OK;
    if (!complete) st = rt_fail(err, RT_NOMEM, "decoding %zu prompts", n);
    if (st == RT_OK) st = sampler_new(c->n_vocab, g->options, &g->choose, err);
    if (st == RT_OK) st = g->m->arch->decoder_new(g->m, capacities, n, &g->d, err);
    free(capacities);
    return st;
}

/* Read all prompts, a few at a time; hidden rows are in the order of the prompts. */
static rt_status read_prompts(generation *g, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t first = 0, n; st == RT_OK && first < g->n; first += n) {
        size_t n_tokens = g->prompts[first].n_ids;
        for (n = 1; first + n < g->n; n++) {
            n_tokens += g->prompts[first + n].n_ids;
            if (n_tokens > PREFILL_TOKENS) break;
        }
        st = g->m->arch->prefill(g->d, first, n, g->prompts + first,
                                 g->hidden + first * g->m->config.d_model, err);
    }
    return st;
}

/* Take one prediction; false when the sequence ends with it. */
static bool take(generation *g, size_t i_seq, const float *logits, uint32_t *id)
{
    generated *out = &g->out[i_seq];
    double logprob;
    double u = (double)(rng_u64(g->keys[i_seq], out->n_ids) >> 11) * 0x1p-53;
    *id = sampler_choose(g->choose, logits, u, &logprob);
    out->sum_logprob += logprob;
    if (*id == g->m->config.eos_id) {
        out->finish = FINISH_STOP;
        return false;
    }
    out->ids[out->n_ids++] = *id;
    out->finish = FINISH_LENGTH;
    return out->n_ids < g->limits[i_seq];
}

/* From the hidden rows of the live sequences to their next tokens; those that end drop out. */
static void advance(generation *g)
{
    const model_config *c = &g->m->config;
    const param *head_param = &g->m->table.params[g->m->arch->head_param(g->m)];
    const float *head = g->m->weights + head_param->offset;
    size_t n_left = 0;
    for (size_t first = 0; first < g->n_live; first += LOGIT_ROWS) {
        size_t n = RT_MIN(LOGIT_ROWS, g->n_live - first);
        gemm(GEMM_N, GEMM_T, n, c->n_vocab, c->d_model, 1, g->hidden + first * c->d_model,
             c->d_model, head, c->d_model, 0, g->logits, c->n_vocab);
        for (size_t i = 0; i < n; i++) {
            uint32_t i_seq = g->live[first + i], id;
            if (!take(g, i_seq, g->logits + i * c->n_vocab, &id)) continue;
            g->live[n_left] = i_seq; /* n_left <= first + i: already read */
            g->last[n_left++] = id;
        }
    }
    g->n_live = n_left;
}

static void generation_free(generation *g)
{
    if (g->out != NULL) generated_free(g->out, g->n);
    g->m->arch->decoder_free(g->d);
    sampler_free(g->choose);
    free(g->out);
    free(g->keys);
    free(g->limits);
    free(g->live);
    free(g->last);
    free(g->hidden);
    free(g->logits);
}

rt_status generate(model *m, const generate_prompt *prompts, size_t n_prompts,
                   const generate_options *options, generated *out, rt_error *err)
{
    generation g = {.m = m, .prompts = prompts, .n = n_prompts, .options = options};
    if (n_prompts == 0) return RT_OK;
    parallel_enter();
    rt_status st = check_prompts(&m->config, prompts, n_prompts, options, err);
    if (st == RT_OK) st = prepare(&g, err);
    if (st == RT_OK) st = read_prompts(&g, err);
    while (st == RT_OK && g.n_live > 0) {
        advance(&g);
        if (g.n_live > 0) st = m->arch->step(g.d, g.n_live, g.live, g.last, g.hidden, err);
    }
    if (st == RT_OK) {
        memcpy(out, g.out, n_prompts * sizeof *out);
        memset(g.out, 0, n_prompts * sizeof *g.out); /* ownership moved */
    }
    generation_free(&g);
    return st;
}

void generated_free(generated *items, size_t n)
{
    for (size_t i = 0; items != NULL && i < n; i++) {
        free(items[i].ids);
        items[i] = (generated){0};
    }
}
