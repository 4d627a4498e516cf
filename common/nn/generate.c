#include "common/nn/generate.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm.h"
#include "common/nn/model/decode_rows.h"
#include "common/nn/parallel.h"
#include "common/nn/sample.h"

/* Sequences that run together: enough rows for fast products, few enough that their keys and
 * values stay in cache. */
#define GROUP_SEQS 64

/* The state of one call, and of the group it is at. Finished sequences leave `live`, so a step has
 * one row for each that still runs. */
typedef struct generation {
    model *m;
    const generate_options *options;
    decoder *d;
    sampler *choose;
    size_t *limits;     /* [n], tokens that may still be predicted in all */
    size_t *capacities; /* [n], prompt and limit */
    float *hidden;      /* [GROUP_SEQS, width of the head] */
    float *logits;      /* [GROUP_SEQS, n_vocab] */

    /* the group, numbered from 0 */
    const generate_prompt *prompts;
    generated *out;
    size_t n, first;
    rng_key keys[GROUP_SEQS];
    uint32_t live[GROUP_SEQS]; /* [n_live], sequence numbers */
    uint32_t last[GROUP_SEQS]; /* [n_live], token to read next */
    size_t n_live;
} generation;

rt_status generate_check_prompt(const model_config *config, const generate_prompt *prompt,
                                rt_error *err)
{
    if (prompt->n_ids == 0 || prompt->n_ids >= config->seq_len_max)
        return rt_fail(err, RT_INVALID,
                       "prompt has %zu tokens, expected 1 to %zu (the model reads %zu in all)",
                       prompt->n_ids, config->seq_len_max - 1, config->seq_len_max);
    for (size_t j = 0; j < prompt->n_ids; j++)
        if (prompt->ids[j] >= config->n_vocab)
            return rt_fail(err, RT_INVALID, "prompt: token %zu has id %u, expected below %zu", j,
                           prompt->ids[j], config->n_vocab);
    return RT_OK;
}

rng_key generate_key(const generate_prompt *prompt, uint64_t seed)
{
    return rng_key_make(seed, "sample", prompt->record_id, prompt->sample);
}

double generate_draw(rng_key key, size_t i)
{
    return (double)(rng_u64(key, i) >> 11) * 0x1p-53;
}

rt_status generate_check(const model_config *config, const generate_prompt *prompts, size_t n,
                         size_t max_new_tokens, rt_error *err)
{
    if (max_new_tokens == 0)
        return rt_fail(err, RT_INVALID, "decoding: max_new_tokens is 0, expected at least 1");
    for (size_t i = 0; i < n; i++) {
        rt_status st = generate_check_prompt(config, &prompts[i], err);
        if (st != RT_OK) return rt_wrap(err, st, "decoding, number %zu", i);
    }
    return RT_OK;
}

/* Sizes of the whole call, and the largest group's share of them. */
static void measure(generation *g, const generate_prompt *prompts, size_t n, size_t *n_tokens,
                    size_t *n_longest)
{
    *n_tokens = *n_longest = 0;
    for (size_t i = 0, n_group = 0; i < n; i++) {
        g->limits[i] =
            RT_MIN(g->options->max_new_tokens, g->m->config.seq_len_max - prompts[i].n_ids);
        g->capacities[i] = prompts[i].n_ids + g->limits[i];
        n_group = (i % GROUP_SEQS == 0 ? 0 : n_group) + g->capacities[i];
        *n_tokens = RT_MAX(*n_tokens, n_group);
        *n_longest = RT_MAX(*n_longest, g->capacities[i]);
    }
}

/* Room for the longest answer. What is not reached is not touched. */
static bool prepare_answer(const generation *g, size_t n_limit, generated *out)
{
    out->n_top = RT_MIN(g->options->n_top, g->m->config.n_vocab);
    out->ids = rt_calloc(n_limit, sizeof *out->ids);
    if (out->n_top == 0) return out->ids != NULL;
    out->chosen = rt_calloc(n_limit, sizeof *out->chosen);
    out->top = rt_calloc(n_limit * out->n_top, sizeof *out->top);
    return out->ids != NULL && out->chosen != NULL && out->top != NULL;
}

static rt_status prepare(generation *g, const generate_prompt *prompts, size_t n, generated *out,
                         rt_error *err)
{
    const model_config *c = &g->m->config;
    size_t n_tokens, n_longest;
    g->limits = rt_calloc(n, sizeof *g->limits);
    g->capacities = rt_calloc(n, sizeof *g->capacities);
    g->hidden = rt_calloc(GROUP_SEQS * model_head_width(g->m), sizeof *g->hidden);
    g->logits = rt_calloc(GROUP_SEQS * c->n_vocab, sizeof *g->logits);
    if (out == NULL || g->limits == NULL || g->capacities == NULL || g->hidden == NULL ||
        g->logits == NULL)
        return rt_fail(err, RT_NOMEM, "decoding %zu prompts", n);
    measure(g, prompts, n, &n_tokens, &n_longest);
    for (size_t i = 0; i < n; i++)
        if (!prepare_answer(g, g->limits[i], &out[i]))
            return rt_fail(err, RT_NOMEM, "decoding %zu prompts", n);
    rt_status st = sampler_new(c->n_vocab, g->options, &g->choose, err);
    if (st != RT_OK) return st;
    return g->m->arch->decoder_new(g->m, RT_MIN(n, (size_t)GROUP_SEQS), n_tokens, n_longest, &g->d,
                                   err);
}

static void begin_group(generation *g, const generate_prompt *prompts, generated *out, size_t first,
                        size_t n)
{
    g->prompts = prompts + first;
    g->out = out + first;
    g->first = first;
    g->n = g->n_live = n;
    for (size_t i = 0; i < n; i++) {
        g->keys[i] = generate_key(&g->prompts[i], g->options->seed);
        g->live[i] = (uint32_t)i;
    }
    g->m->arch->decoder_begin(g->d, g->capacities + first, n);
}

/* Take one prediction; false when the sequence ends with it. */
static bool take(generation *g, size_t i_seq, const float *logits, uint32_t *id)
{
    generated *out = &g->out[i_seq];
    double logprob;
    double u = generate_draw(g->keys[i_seq], out->n_ids);
    *id = sampler_choose(g->choose, logits, u, &logprob);
    out->sum_logprob += logprob;
    if (*id == g->m->config.eos_id) {
        out->finish = FINISH_STOP;
        return false;
    }
    if (out->n_top > 0) {
        out->chosen[out->n_ids] = (token_choice){.id = *id, .logprob = (float)logprob};
        (void)sampler_top(g->choose, logits, out->n_top, out->top + out->n_ids * out->n_top);
    }
    out->ids[out->n_ids++] = *id;
    out->finish = FINISH_LENGTH;
    return out->n_ids < g->limits[g->first + i_seq];
}

/* From the hidden rows of the live sequences to their next tokens; those that end drop out. */
static void advance(generation *g)
{
    const model_config *c = &g->m->config;
    size_t n_left = 0;
    rows_linear(g->m, g->m->arch->head_param(g->m), 1, g->n_live, g->hidden, g->logits);
    for (size_t i = 0; i < g->n_live; i++) {
        uint32_t i_seq = g->live[i], id;
        if (!take(g, i_seq, g->logits + i * c->n_vocab, &id)) continue;
        g->live[n_left] = i_seq; /* n_left <= i: already read */
        g->last[n_left++] = id;
    }
    g->n_live = n_left;
}

/* The sequence before i that has the same prompt, or i. */
static size_t find_equal(const generation *g, size_t i)
{
    const generate_prompt *a = &g->prompts[i];
    for (size_t k = i; k-- > 0;) {
        const generate_prompt *b = &g->prompts[k];
        if (a->n_ids == b->n_ids && memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) == 0)
            return k;
    }
    return i;
}

/* Read the group's prompts, equal ones once; hidden rows are in the order of the prompts. */
static rt_status read_prompts(generation *g, rt_error *err)
{
    generate_prompt prompts[GROUP_SEQS];
    uint32_t seqs[GROUP_SEQS], rows[GROUP_SEQS]; /* to be read; where the hidden row of each is */
    size_t n = 0, width = model_head_width(g->m);
    for (size_t i = 0; i < g->n; i++) {
        size_t equal = find_equal(g, i);
        rows[i] = equal < i ? rows[equal] : (uint32_t)n;
        if (equal < i) continue;
        prompts[n] = g->prompts[i];
        seqs[n++] = (uint32_t)i;
        g->out[i].n_read = g->prompts[i].n_ids;
    }
    rt_status st = rows_read_prompts(g->m, g->d, n, seqs, prompts, g->hidden, err);
    if (st != RT_OK) return st;
    /* Backward, because a row moves up or stays: nothing is overwritten that is still to move. */
    for (size_t i = g->n; i-- > 0;)
        memmove(g->hidden + i * width, g->hidden + rows[i] * width, width * sizeof *g->hidden);
    for (size_t i = 0; i < g->n; i++)
        if (seqs[rows[i]] != i) g->m->arch->copy(g->d, i, seqs[rows[i]], g->prompts[i].n_ids);
    return RT_OK;
}

static rt_status run_group(generation *g, rt_error *err)
{
    rt_status st = read_prompts(g, err);
    while (st == RT_OK && g->n_live > 0) {
        advance(g);
        if (g->n_live > 0) st = g->m->arch->step(g->d, g->n_live, g->live, g->last, g->hidden, err);
    }
    return st;
}

static void generation_free(generation *g)
{
    g->m->arch->decoder_free(g->d);
    sampler_free(g->choose);
    free(g->limits);
    free(g->capacities);
    free(g->hidden);
    free(g->logits);
}

rt_status generate(model *m, const generate_prompt *prompts, size_t n_prompts,
                   const generate_options *options, generated *out, rt_error *err)
{
    generation g = {.m = m, .options = options};
    if (n_prompts == 0) return RT_OK;
    parallel_enter();
    rt_status st = generate_check(&m->config, prompts, n_prompts, options->max_new_tokens, err);
    if (st != RT_OK) return st;
    if (options->n_top > DECODE_TOP_MAX)
        return rt_fail(err, RT_INVALID, "decoding: %zu alternatives, expected at most %d",
                       options->n_top, DECODE_TOP_MAX);
    generated *made = rt_calloc(n_prompts, sizeof *made);
    st = prepare(&g, prompts, n_prompts, made, err);
    for (size_t first = 0; st == RT_OK && first < n_prompts; first += GROUP_SEQS) {
        begin_group(&g, prompts, made, first, RT_MIN((size_t)GROUP_SEQS, n_prompts - first));
        st = run_group(&g, err);
    }
    if (st == RT_OK) {
        memcpy(out, made, n_prompts * sizeof *out);
        memset(made, 0, n_prompts * sizeof *made); /* ownership moved */
    }
    generated_free(made, n_prompts);
    free(made);
    generation_free(&g);
    return st;
}

void generated_free(generated *items, size_t n)
{
    for (size_t i = 0; items != NULL && i < n; i++) {
        free(items[i].ids);
        free(items[i].chosen);
        free(items[i].top);
        items[i] = (generated){0};
    }
}
