#include "common/nn/decode_slots.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm.h"
#include "common/nn/model/model_state.h"
#include "common/nn/parallel.h"

/* Prompt tokens that one step reads, so that the others wait a bounded time; a single prompt may be
 * longer. */
#define PREFILL_TOKENS 1024

typedef enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_LIVE } slot_state;

typedef struct slot {
    slot_state state;
    uint64_t arrival; /* waiting slots are read in the order they came */
    generate_options options;
    rng_key key;
    uint32_t *ids; /* [seq_len_max - 1], the last prompt, also of a slot that is free again */
    size_t n_ids;
    bool was_read; /* the decoder holds keys and values of these ids, `prompt_hidden` their end */
    size_t n_new, n_limit; /* tokens chosen, and how many at most */
    size_t n_top;
    uint32_t last; /* to be read next */
} slot;

struct decode_slots {
    model *m;
    decoder *d;
    sampler *choose;
    slot *slots; /* [n_slots] */
    size_t n_slots, n_used;
    uint64_t n_arrived, n_tokens_read;
    float
        *prompt_hidden; /* [n_slots, width of the head], what it reads at the end of each prompt */
    /* of one step, a row for each slot that gets a token */
    uint32_t *rows;           /* [n_slots], slot numbers */
    uint32_t *last;           /* [n_slots] */
    generate_prompt *prompts; /* [n_slots], to be read */
    uint32_t *copies;         /* [n_slots], slots that take their prompt from another */
    uint32_t *sources;        /* [n_slots], that one */
    float *hidden;            /* [n_slots, width of the head] */
    float *logits;            /* [n_slots, n_vocab] */
};

static bool allocate(decode_slots *s)
{
    const model_config *c = &s->m->config;
    size_t n = s->n_slots;
    s->slots = rt_calloc(n, sizeof *s->slots);
    s->rows = rt_calloc(n, sizeof *s->rows);
    s->last = rt_calloc(n, sizeof *s->last);
    s->prompts = rt_calloc(n, sizeof *s->prompts);
    s->copies = rt_calloc(n, sizeof *s->copies);
    s->sources = rt_calloc(n, sizeof *s->sources);
    s->hidden = rt_calloc(n * c->d_model, sizeof *s->hidden);
    s->prompt_hidden = rt_calloc(n * c->d_model, sizeof *s->prompt_hidden);
    s->logits = rt_calloc(n * c->n_vocab, sizeof *s->logits);
    if (s->slots == NULL || s->rows == NULL || s->last == NULL || s->prompts == NULL ||
        s->copies == NULL || s->sources == NULL || s->hidden == NULL || s->prompt_hidden == NULL ||
        s->logits == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        s->slots[i].ids = rt_calloc(c->seq_len_max, sizeof(uint32_t));
        if (s->slots[i].ids == NULL) return false;
    }
    return true;
}

/* Every slot reaches seq_len_max. Memory that no sequence has reached is not touched. */
static rt_status open_decoder(decode_slots *s, rt_error *err)
{
    size_t seq_len_max = s->m->config.seq_len_max, n_tokens;
    size_t *capacities = rt_calloc(s->n_slots, sizeof *capacities);
    rt_status st = RT_OK;
    if (capacities == NULL || !rt_checked_mul(s->n_slots, seq_len_max, &n_tokens)) {
        free(capacities);
        return rt_fail(err, RT_NOMEM, "%zu slots of %zu tokens", s->n_slots, seq_len_max);
    }
    for (size_t i = 0; i < s->n_slots; i++) capacities[i] = seq_len_max;
    st = s->m->arch->decoder_new(s->m, s->n_slots, n_tokens, seq_len_max, &s->d, err);
    if (st == RT_OK) s->m->arch->decoder_begin(s->d, capacities, s->n_slots);
    free(capacities);
    return st;
}

rt_status decode_slots_new(model *m, size_t n_slots, decode_slots **out, rt_error *err)
{
    rt_status st = RT_OK;
    generate_options greedy = {.max_new_tokens = 1, .top_p = 1};
    if (n_slots == 0 || n_slots > DECODE_SLOTS_MAX)
        return rt_fail(err, RT_INVALID, "decoding: %zu slots, expected 1 to %d", n_slots,
                       DECODE_SLOTS_MAX);
    decode_slots *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "decoding slots");
    s->m = m;
    s->n_slots = n_slots;
    parallel_enter();
    if (!allocate(s)) {
        st = rt_fail(err, RT_NOMEM, "%zu decoding slots", n_slots);
        goto out;
    }
    if ((st = sampler_new(m->config.n_vocab, &greedy, &s->choose, err)) != RT_OK) goto out;
    if ((st = open_decoder(s, err)) != RT_OK) goto out;
    *out = s;
    s = NULL;
out:
    decode_slots_free(s);
    return st;
}

void decode_slots_free(decode_slots *s)
{
    if (s == NULL) return;
    if (s->d != NULL) s->m->arch->decoder_free(s->d);
    sampler_free(s->choose);
    for (size_t i = 0; s->slots != NULL && i < s->n_slots; i++) free(s->slots[i].ids);
    free(s->slots);
    free(s->rows);
    free(s->last);
    free(s->prompts);
    free(s->copies);
    free(s->sources);
    free(s->prompt_hidden);
    free(s->hidden);
    free(s->logits);
    free(s);
}

size_t decode_slots_n_used(const decode_slots *s)
{
    return s->n_used;
}

size_t decode_slots_n_free(const decode_slots *s)
{
    return s->n_slots - s->n_used;
}

void decode_slots_release(decode_slots *s, uint32_t i_slot)
{
    RT_ASSERT(i_slot < s->n_slots);
    if (s->slots[i_slot].state == SLOT_FREE) return;
    s->slots[i_slot].state = SLOT_FREE;
    s->n_used--;
}

uint64_t decode_slots_n_tokens_read(const decode_slots *s)
{
    return s->n_tokens_read;
}

static bool holds(const slot *o, const uint32_t *ids, size_t n_ids)
{
    return o->was_read && o->n_ids == n_ids && memcmp(o->ids, ids, n_ids * sizeof *ids) == 0;
}

/* The free slot for a prompt: one that holds it already, else the first. n_slots when none is free. */
static size_t find_free(const decode_slots *s, const generate_prompt *prompt)
{
    size_t first = s->n_slots;
    for (size_t i = s->n_slots; i-- > 0;) {
        if (s->slots[i].state != SLOT_FREE) continue;
        if (holds(&s->slots[i], prompt->ids, prompt->n_ids)) return i;
        first = i;
    }
    return first;
}

rt_status decode_slots_add(decode_slots *s, const generate_prompt *prompt,
                           const generate_options *options, size_t n_top, uint32_t *i_slot,
                           rt_error *err)
{
    const model_config *c = &s->m->config;
    rt_status st = generate_check_prompt(c, prompt, err);
    if (st != RT_OK) return st;
    if (options->max_new_tokens == 0)
        return rt_fail(err, RT_INVALID, "decoding: max_new_tokens is 0, expected at least 1");
    if (n_top > DECODE_TOP_MAX)
        return rt_fail(err, RT_INVALID, "decoding: %zu alternatives, expected at most %d", n_top,
                       DECODE_TOP_MAX);
    if ((st = sampler_set(s->choose, options, err)) != RT_OK) return st;
    size_t at = find_free(s, prompt);
    if (at == s->n_slots) return rt_fail(err, RT_FULL, "all %zu decoding slots", s->n_slots);
    slot *o = &s->slots[at];
    uint32_t *ids = o->ids;
    bool was_read = holds(o, prompt->ids, prompt->n_ids);
    memcpy(ids, prompt->ids, prompt->n_ids * sizeof *ids);
    *o = (slot){.state = SLOT_WAITING,
                .arrival = s->n_arrived++,
                .options = *options,
                .key = generate_key(prompt, options->seed),
                .ids = ids,
                .n_ids = prompt->n_ids,
                .was_read = was_read,
                .n_limit = RT_MIN(options->max_new_tokens, c->seq_len_max - prompt->n_ids),
                .n_top = n_top};
    s->n_used++;
    *i_slot = (uint32_t)at;
    return RT_OK;
}

/* The waiting slot that came first, or NULL. */
static slot *first_waiting(const decode_slots *s)
{
    slot *first = NULL;
    for (size_t i = 0; i < s->n_slots; i++) {
        slot *o = &s->slots[i];
        if (o->state == SLOT_WAITING && (first == NULL || o->arrival < first->arrival)) first = o;
    }
    return first;
}

/* A slot that holds the prompt of another, or n_slots. */
static size_t find_source(const decode_slots *s, const slot *o)
{
    size_t i = 0;
    if (o->was_read) return (size_t)(o - s->slots);
    while (i < s->n_slots && !holds(&s->slots[i], o->ids, o->n_ids)) i++;
    return i;
}

/* Divide the waiting prompts into those to be read, n of them, and those to be copied, perhaps from one
 * that is read in this step. They are live from now on. */
static void divide_waiting(decode_slots *s, size_t *n, size_t *n_copies)
{
    size_t n_tokens = 0;
    *n = *n_copies = 0;
    for (slot *o; (o = first_waiting(s)) != NULL;) {
        size_t source = find_source(s, o);
        if (source < s->n_slots) {
            s->copies[*n_copies] = (uint32_t)(o - s->slots);
            s->sources[(*n_copies)++] = (uint32_t)source;
        } else {
            if (*n > 0 && n_tokens + o->n_ids > PREFILL_TOKENS) break;
            n_tokens += o->n_ids;
            s->rows[*n] = (uint32_t)(o - s->slots);
            s->prompts[(*n)++] = (generate_prompt){.ids = o->ids, .n_ids = o->n_ids};
        }
        o->state = SLOT_LIVE;
        o->was_read = true;
    }
    s->n_tokens_read += n_tokens;
}

/* Bring waiting prompts into the first rows: first those that are read, then those that are copied. */
static rt_status read_prompts(decode_slots *s, size_t *n, rt_error *err)
{
    size_t width = model_head_width(s->m), n_copies;
    rt_status st = RT_OK;
    divide_waiting(s, n, &n_copies);
    if (*n > 0) st = s->m->arch->prefill(s->d, *n, s->rows, s->prompts, s->hidden, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < *n; i++)
        memcpy(s->prompt_hidden + s->rows[i] * width, s->hidden + i * width,
               width * sizeof *s->hidden);
    for (size_t k = 0; k < n_copies; k++) {
        uint32_t to = s->copies[k], from = s->sources[k];
        float *hidden = s->prompt_hidden + to * width;
        s->m->arch->copy(s->d, to, from, s->slots[to].n_ids);
        memmove(hidden, s->prompt_hidden + from * width, width * sizeof *hidden);
        memcpy(s->hidden + *n * width, hidden, width * sizeof *hidden);
        s->rows[(*n)++] = to;
    }
    return RT_OK;
}

/* Give the other live slots their rows behind the first n. */
static rt_status step_live(decode_slots *s, size_t *n, rt_error *err)
{
    size_t first = *n, n_rows = first;
    for (uint32_t i = 0; i < s->n_slots; i++) {
        if (s->slots[i].state != SLOT_LIVE || s->slots[i].n_new == 0) continue;
        s->last[n_rows - first] = s->slots[i].last;
        s->rows[n_rows++] = i;
    }
    *n = n_rows;
    if (n_rows == first) return RT_OK;
    return s->m->arch->step(s->d, n_rows - first, s->rows + first, s->last,
                            s->hidden + first * model_head_width(s->m), err);
}

static rt_status take(decode_slots *s, uint32_t i_slot, const float *logits, decoded_token *out,
                      rt_error *err)
{
    slot *o = &s->slots[i_slot];
    rt_status st = sampler_set(s->choose, &o->options, err);
    if (st != RT_OK) return st;
    out->i_slot = i_slot;
    out->id = sampler_choose(s->choose, logits, generate_draw(o->key, o->n_new), &out->logprob);
    out->n_top = sampler_top(s->choose, logits, o->n_top, out->top);
    o->last = out->id;
    o->n_new++;
    bool stops = out->id == s->m->config.eos_id;
    out->finish = stops ? FINISH_STOP : FINISH_LENGTH;
    out->ends = stops || o->n_new >= o->n_limit;
    if (out->ends) decode_slots_release(s, i_slot);
    return RT_OK;
}

rt_status decode_slots_step(decode_slots *s, decoded_token *out, size_t *n_out, rt_error *err)
{
    const model_config *c = &s->m->config;
    const param *head = &s->m->table.params[s->m->arch->head_param(s->m)];
    size_t n = 0;
    parallel_enter();
    rt_status st = read_prompts(s, &n, err);
    if (st == RT_OK) st = step_live(s, &n, err);
    if (st == RT_OK && n > 0)
        gemm(GEMM_N, GEMM_T, n, c->n_vocab, head->shape[1], 1, s->hidden, head->shape[1],
             s->m->weights + head->offset, head->shape[1], 0, s->logits, c->n_vocab);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = take(s, s->rows[i], s->logits + i * c->n_vocab, &out[i], err);
    if (st == RT_OK) {
        *n_out = n;
        return RT_OK;
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        decode_slots_release(s, i);
        s->slots[i].was_read = false;
    }
    return st;
}
