#include "common/nn/beam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/model/decode_rows.h"
#include "common/nn/parallel.h"
#include "common/nn/sample.h"

/* Sequences that run together, as in generate.c: the beams of one prompt or of several. */
#define GROUP_SEQS 64
#define NONE       UINT32_MAX

/* A sequence of the decoder. One that no beam lives in is kept as it was: the next one to be copied
 * there may share its beginning. */
typedef struct branch {
    uint32_t *ids; /* [limit of the prompt], chosen so far */
    size_t n_ids;
    double sum; /* of their log-probabilities */
    bool begun; /* the decoder holds the prompt, and what the branch has read of `ids` */
} branch;

/* A beam and a token behind it. */
typedef struct extension {
    double sum;
    uint32_t id;
    uint32_t parent; /* rank of the beam */
} extension;

/* The search for one prompt. Branch b is sequence i_first + b of the decoder. */
typedef struct search {
    const generate_prompt *prompt;
    branch *branches; /* [n_beams] */
    uint32_t i_first;
    uint32_t live[BEAMS_MAX]; /* [n_live], branches by falling sum */
    size_t n_live, n_new, n_limit;
    uint32_t greedy;            /* rank of the beam that is greedy decoding's; NONE: it has ended */
    double finished[BEAMS_MAX]; /* [n_finished], the best scores, falling */
    size_t n_finished;
    double best; /* score of *out, when n_finished > 0 */
    generated *out;
} search;

typedef struct beam_run {
    model *m;
    const beam_options *options;
    decoder *d;
    sampler *choose;
    search *searches;   /* [n_group] */
    branch *branches;   /* [n_group * n_beams] */
    size_t n_group;     /* prompts that run together */
    size_t *capacities; /* [n_group * n_beams] */
    float *hidden;      /* [n_group * n_beams, width of the head] */
    float *logits;      /* [n_group * n_beams, n_vocab] */
    uint32_t *rows;     /* [n_group * n_beams], sequences of a step */
    uint32_t *last;     /* [n_group * n_beams], what they read next */
    /* of one search at a time */
    token_choice *top;     /* [2 * n_beams] */
    extension *extensions; /* [2 * n_beams * n_beams] */
} beam_run;

static double score_of(double sum, size_t n_tokens, double length_penalty)
{
    return sum / pow((double)n_tokens, length_penalty);
}

/* ---- one step of one search ---- */

static int by_falling_sum(const void *a, const void *b)
{
    const extension *x = a, *y = b;
    if (x->sum != y->sum) return x->sum < y->sum ? 1 : -1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->parent > y->parent) - (x->parent < y->parent);
}

static extension extend(const search *s, uint32_t parent, uint32_t id, double logprob)
{
    double sum = s->branches[s->live[parent]].sum + logprob;
    /* A broken model's logits may be no numbers; the order has to be one all the same. */
    return (extension){.sum = sum > -INFINITY ? sum : -INFINITY, .id = id, .parent = parent};
}

/* What can be among the best 2 n_beams, in order: eos is the end of at most n_beams of those, so n_beams
 * that go on are among them. *greedy is the step of greedy decoding, when its beam still lives. */
static size_t list_extensions(beam_run *r, const search *s, const float *logits, extension *greedy)
{
    size_t n = 0, n_vocab = r->m->config.n_vocab;
    for (uint32_t i = 0; i < s->n_live; i++) {
        const float *row = logits + i * n_vocab;
        double logprob;
        uint32_t id = sampler_choose(r->choose, row, 0, &logprob);
        size_t n_top = sampler_top(r->choose, row, 2 * r->options->n_beams, r->top);
        if (i == s->greedy) *greedy = extend(s, i, id, logprob);
        for (size_t k = 0; k < n_top; k++)
            r->extensions[n++] =
                extend(s, i, r->top[k].id, (double)row[r->top[k].id] - sampler_log_sum(r->choose));
    }
    qsort(r->extensions, n, sizeof *r->extensions, by_falling_sum);
    return RT_MIN(n, 2 * r->options->n_beams);
}

/* A sequence has ended: the first n_ids of `ids`, and eos where it stopped. */
static void finish(const beam_run *r, search *s, const uint32_t *ids, size_t n_ids, double sum,
                   finish_reason reason)
{
    double score = score_of(sum, n_ids + (reason == FINISH_STOP), r->options->length_penalty);
    size_t at = s->n_finished;
    if (s->n_finished == 0 || score > s->best) {
        memcpy(s->out->ids, ids, n_ids * sizeof *ids);
        s->out->n_ids = n_ids;
        s->out->sum_logprob = sum;
        s->out->finish = reason;
        s->out->n_read = s->prompt->n_ids;
        s->best = score;
    }
    while (at > 0 && s->finished[at - 1] < score) at--;
    if (at == r->options->n_beams) return;
    if (s->n_finished < r->options->n_beams) s->n_finished++;
    memmove(s->finished + at + 1, s->finished + at, (s->n_finished - at - 1) * sizeof *s->finished);
    s->finished[at] = score;
}

static bool is_same(const extension *a, const extension *b)
{
    return a->id == b->id && a->parent == b->parent;
}

static void finish_with_eos(const beam_run *r, search *s, const extension *e)
{
    const branch *b = &s->branches[s->live[e->parent]];
    finish(r, s, b->ids, b->n_ids, e->sum, FINISH_STOP);
}

/* The next beams in order, to next[n_beams]; those that end are finished. Returns how many. */
static size_t select_next(beam_run *r, search *s, const float *logits, extension *next)
{
    size_t n_next = 0, n_beams = r->options->n_beams;
    uint32_t eos_id = r->m->config.eos_id, greedy_rank = NONE;
    extension greedy = {0};
    size_t n = list_extensions(r, s, logits, &greedy);
    bool greedy_lives = s->greedy != NONE, greedy_done = false;
    for (size_t k = 0; k < n && n_next < n_beams; k++) {
        const extension *e = &r->extensions[k];
        bool is_greedy = greedy_lives && is_same(e, &greedy);
        if (e->id != eos_id) {
            if (is_greedy) greedy_rank = (uint32_t)n_next;
            next[n_next++] = *e;
        } else if (k < n_beams) {
            greedy_done = greedy_done || is_greedy;
            finish_with_eos(r, s, e);
        }
    }
    if (greedy_lives && greedy.id == eos_id) {
        if (!greedy_done) finish_with_eos(r, s, &greedy);
    } else if (greedy_lives && greedy_rank == NONE) {
        if (n_next < n_beams) n_next++;
        greedy_rank = (uint32_t)(n_next - 1);
        next[greedy_rank] = greedy;
    }
    s->greedy = greedy_rank;
    return n_next;
}

/* Make `to` what `from` is. */
static void copy_branch(const beam_run *r, search *s, uint32_t to, uint32_t from)
{
    branch *a = &s->branches[to];
    const branch *b = &s->branches[from];
    size_t n_same = 0;
    if (a->begun) {
        while (n_same < a->n_ids && n_same < b->n_ids && a->ids[n_same] == b->ids[n_same]) n_same++;
        n_same += s->prompt->n_ids;
    }
    r->m->arch->fork(r->d, s->i_first + to, s->i_first + from, n_same);
    memcpy(a->ids, b->ids, b->n_ids * sizeof *a->ids);
    a->n_ids = b->n_ids;
    a->begun = true;
}

/* Give each of the next beams a branch: the first child of a beam stays in that one's, the others move
 * to branches that nobody continues. */
static void settle(const beam_run *r, search *s, const extension *next, size_t n_next)
{
    bool taken[BEAMS_MAX] = {false};
    uint32_t places[BEAMS_MAX], at = 0;
    for (size_t k = 0; k < n_next; k++) {
        uint32_t parent = s->live[next[k].parent];
        places[k] = taken[parent] ? NONE : parent;
        taken[parent] = true;
    }
    for (size_t k = 0; k < n_next; k++) {
        if (places[k] != NONE) continue;
        while (taken[at]) at++; /* there are as many branches as beams */
        copy_branch(r, s, at, s->live[next[k].parent]);
        taken[at] = true;
        places[k] = at;
    }
    for (size_t k = 0; k < n_next; k++) {
        branch *b = &s->branches[places[k]];
        b->ids[b->n_ids++] = next[k].id;
        b->sum = next[k].sum;
    }
    memcpy(s->live, places, n_next * sizeof *places);
    s->n_live = n_next;
}

/* Whether the best beam will not be the answer (see beam.h). */
static bool is_decided(const beam_run *r, const search *s, double best_sum)
{
    double length_penalty = r->options->length_penalty;
    if (length_penalty == 0) return s->n_finished > 0 && s->best >= best_sum;
    return s->n_finished == r->options->n_beams &&
           s->finished[s->n_finished - 1] >= score_of(best_sum, s->n_new, length_penalty);
}

/* From the logits of its beams to the next ones; none are left when the search is done. */
static void advance(beam_run *r, search *s, const float *logits)
{
    extension next[BEAMS_MAX];
    size_t n_next = select_next(r, s, logits, next);
    s->n_new++;
    if (n_next == 0 || is_decided(r, s, next[0].sum)) {
        s->n_live = 0;
        return;
    }
    settle(r, s, next, n_next);
    if (s->n_new < s->n_limit) return;
    for (size_t i = 0; i < s->n_live; i++) {
        const branch *b = &s->branches[s->live[i]];
        finish(r, s, b->ids, b->n_ids, b->sum, FINISH_LENGTH);
    }
    s->n_live = 0;
}

/* ---- prompts that run together ---- */

static void begin_search(beam_run *r, size_t i, const generate_prompt *prompt, generated *out)
{
    search *s = &r->searches[i];
    size_t n_beams = r->options->n_beams;
    size_t n_limit = RT_MIN(r->options->max_new_tokens, r->m->config.seq_len_max - prompt->n_ids);
    *s = (search){.prompt = prompt,
                  .branches = r->branches + i * n_beams,
                  .i_first = (uint32_t)(i * n_beams),
                  .n_live = 1,
                  .n_limit = n_limit,
                  .out = out};
    for (size_t b = 0; b < n_beams; b++) {
        s->branches[b].n_ids = 0;
        s->branches[b].begun = b == 0;
        s->branches[b].sum = 0;
        r->capacities[i * n_beams + b] = prompt->n_ids + n_limit;
    }
}

/* The next token of every beam; false when none is left. */
static bool advance_all(beam_run *r, size_t n, size_t *n_rows)
{
    const model *m = r->m;
    size_t at = 0;
    rows_linear(r->m, m->arch->head_param(m), 1, *n_rows, r->hidden, r->logits);
    *n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        search *s = &r->searches[i];
        const float *logits = r->logits + at * m->config.n_vocab;
        at += s->n_live;
        if (s->n_live > 0) advance(r, s, logits);
        for (size_t k = 0; k < s->n_live; k++) {
            const branch *b = &s->branches[s->live[k]];
            r->rows[*n_rows] = s->i_first + s->live[k];
            r->last[(*n_rows)++] = b->ids[b->n_ids - 1];
        }
    }
    return *n_rows > 0;
}

static rt_status run_group(beam_run *r, const generate_prompt *prompts, generated *out, size_t n,
                           rt_error *err)
{
    const arch *a = r->m->arch;
    size_t n_rows = n;
    for (size_t i = 0; i < n; i++) {
        begin_search(r, i, &prompts[i], &out[i]);
        r->rows[i] = r->searches[i].i_first;
    }
    a->decoder_begin(r->d, r->capacities, n * r->options->n_beams);
    rt_status st = rows_read_prompts(r->m, r->d, n, r->rows, prompts, r->hidden, err);
    while (st == RT_OK && advance_all(r, n, &n_rows))
        st = a->step(r->d, n_rows, r->rows, r->last, r->hidden, err);
    return st;
}

/* ---- the whole call ---- */

static rt_status check(const model_config *c, const generate_prompt *prompts, size_t n,
                       const beam_options *options, rt_error *err)
{
    if (options->n_beams == 0 || options->n_beams > BEAMS_MAX)
        return rt_fail(err, RT_INVALID, "decoding: %zu beams, expected 1 to %d", options->n_beams,
                       BEAMS_MAX);
    if (!(options->length_penalty >= 0 && options->length_penalty <= LENGTH_PENALTY_MAX))
        return rt_fail(err, RT_INVALID, "decoding: length_penalty is %g, expected 0 to %d",
                       options->length_penalty, LENGTH_PENALTY_MAX);
    return generate_check(c, prompts, n, options->max_new_tokens, err);
}

/* Room for the largest group, and for each answer at its longest. */
static rt_status prepare(beam_run *r, const generate_prompt *prompts, size_t n, generated *out,
                         rt_error *err)
{
    const model_config *c = &r->m->config;
    size_t n_beams = r->options->n_beams, n_seqs = r->n_group * n_beams;
    size_t n_tokens = 0, n_longest = 0, n_limit = 0;
    for (size_t i = 0, n_group = 0; i < n; i++) {
        size_t limit = RT_MIN(r->options->max_new_tokens, c->seq_len_max - prompts[i].n_ids);
        n_group = (i % r->n_group == 0 ? 0 : n_group) + (prompts[i].n_ids + limit) * n_beams;
        n_tokens = RT_MAX(n_tokens, n_group);
        n_longest = RT_MAX(n_longest, prompts[i].n_ids + limit);
        n_limit = RT_MAX(n_limit, limit);
        if ((out[i].ids = rt_calloc(limit, sizeof(uint32_t))) == NULL) goto no_memory;
    }
    r->searches = rt_calloc(r->n_group, sizeof *r->searches);
    r->branches = rt_calloc(n_seqs, sizeof *r->branches);
    r->capacities = rt_calloc(n_seqs, sizeof *r->capacities);
    r->hidden = rt_calloc(n_seqs * model_head_width(r->m), sizeof *r->hidden);
    r->logits = rt_calloc(n_seqs * c->n_vocab, sizeof *r->logits);
    r->rows = rt_calloc(n_seqs, sizeof *r->rows);
    r->last = rt_calloc(n_seqs, sizeof *r->last);
    r->top = rt_calloc(2 * n_beams, sizeof *r->top);
    r->extensions = rt_calloc(2 * n_beams * n_beams, sizeof *r->extensions);
    if (r->searches == NULL || r->branches == NULL || r->capacities == NULL || r->hidden == NULL ||
        r->logits == NULL || r->rows == NULL || r->last == NULL || r->top == NULL ||
        r->extensions == NULL)
        goto no_memory;
    for (size_t b = 0; b < n_seqs; b++)
        if ((r->branches[b].ids = rt_calloc(n_limit, sizeof(uint32_t))) == NULL) goto no_memory;
    generate_options greedy = {.max_new_tokens = 1, .top_p = 1};
    rt_status st = sampler_new(c->n_vocab, &greedy, &r->choose, err);
    if (st != RT_OK) return st;
    return r->m->arch->decoder_new(r->m, n_seqs, n_tokens, n_longest, &r->d, err);
no_memory:
    return rt_fail(err, RT_NOMEM, "decoding %zu prompts with %zu beams", n, n_beams);
}

static void beam_run_free(beam_run *r)
{
    r->m->arch->decoder_free(r->d);
    sampler_free(r->choose);
    for (size_t b = 0; r->branches != NULL && b < r->n_group * r->options->n_beams; b++)
        free(r->branches[b].ids);
    free(r->searches);
    free(r->branches);
    free(r->capacities);
    free(r->hidden);
    free(r->logits);
    free(r->rows);
    free(r->last);
    free(r->top);
    free(r->extensions);
}

rt_status beam_search(model *m, const generate_prompt *prompts, size_t n_prompts,
                      const beam_options *options, generated *out, rt_error *err)
{
    generate_options greedy = {.max_new_tokens = options->max_new_tokens, .top_p = 1};
    if (n_prompts == 0) return RT_OK;
    rt_status st = check(&m->config, prompts, n_prompts, options, err);
    if (st != RT_OK) return st;
    if (options->n_beams == 1) return generate(m, prompts, n_prompts, &greedy, out, err);
    beam_run r = {.m = m, .options = options};
    r.n_group = RT_MIN(n_prompts, (size_t)GROUP_SEQS / options->n_beams);
    parallel_enter();
    generated *made = rt_calloc(n_prompts, sizeof *made);
    st = made != NULL ? prepare(&r, prompts, n_prompts, made, err)
                      : rt_fail(err, RT_NOMEM, "decoding %zu prompts", n_prompts);
    for (size_t first = 0; st == RT_OK && first < n_prompts; first += r.n_group)
        st =
            run_group(&r, prompts + first, made + first, RT_MIN(r.n_group, n_prompts - first), err);
    if (st == RT_OK) {
        memcpy(out, made, n_prompts * sizeof *out);
        memset(made, 0, n_prompts * sizeof *made); /* ownership moved */
    }
    generated_free(made, n_prompts);
    free(made);
    beam_run_free(&r);
    return st;
}
