#include "common/nn/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/vec.h"

typedef struct candidate {
    float weight;
    uint32_t id;
} candidate;

struct sampler {
    size_t n_vocab;
    generate_options options;
    float *weights;        /* [n_vocab] */
    candidate *candidates; /* [n_vocab] */
    double log_sum;        /* of the logits read last */
};

static rt_status check_options(const generate_options *o, rt_error *err)
{
    if (!(o->temperature >= 0 && isfinite(o->temperature)))
        return rt_fail(err, RT_INVALID, "decoding: temperature is %g, expected at least 0",
                       (double)o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return rt_fail(err, RT_INVALID, "decoding: top_p is %g, expected above 0 and at most 1",
                       (double)o->top_p);
    return RT_OK;
}

rt_status sampler_set(sampler *s, const generate_options *options, rt_error *err)
{
    rt_status st = check_options(options, err);
    if (st == RT_OK) s->options = *options;
    return st;
}

rt_status sampler_new(size_t n_vocab, const generate_options *options, sampler **out, rt_error *err)
{
    rt_status st = check_options(options, err);
    if (st != RT_OK) return st;
    sampler *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "sampler");
    *s = (sampler){.n_vocab = n_vocab, .options = *options};
    s->weights = rt_calloc(n_vocab, sizeof *s->weights);
    s->candidates = rt_calloc(n_vocab, sizeof *s->candidates);
    if (s->weights == NULL || s->candidates == NULL) {
        sampler_free(s);
        return rt_fail(err, RT_NOMEM, "sampler for %zu words", n_vocab);
    }
    *out = s;
    return RT_OK;
}

void sampler_free(sampler *s)
{
    if (s == NULL) return;
    free(s->weights);
    free(s->candidates);
    free(s);
}

/* Likelier first; equal ones by id, so that the order is total. */
static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Sink the root of a heap whose root is its least likely candidate. */
static void sink(candidate *heap, size_t n)
{
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        if (left < n && compare(&heap[left], &heap[least]) > 0) least = left;
        if (left + 1 < n && compare(&heap[left + 1], &heap[least]) > 0) least = left + 1;
        if (least == at) return;
        candidate swapped = heap[at];
        heap[at] = heap[least];
        heap[least] = swapped;
        at = least;
    }
}

/* The k likeliest of all, sorted. A list sorted backward is a heap, so the first k need no more. */
static size_t keep_top_k(sampler *s, size_t k)
{
    candidate *kept = s->candidates;
    for (size_t i = 0; i < s->n_vocab; i++) {
        candidate c = {.weight = s->weights[i], .id = (uint32_t)i};
        if (i < k) {
            kept[i] = c;
            if (i + 1 < k) continue;
            qsort(kept, k, sizeof *kept, compare);
            for (size_t a = 0, b = k - 1; a < b; a++, b--) {
                candidate swapped = kept[a];
                kept[a] = kept[b];
                kept[b] = swapped;
            }
        } else if (compare(&c, &kept[0]) < 0) {
            kept[0] = c;
            sink(kept, k);
        }
    }
    qsort(kept, k, sizeof *kept, compare);
    return k;
}

/* Everything that can be in the nucleus, sorted: a word below (1 - p) / n of the mass cannot. */
static size_t keep_likely(sampler *s, double total)
{
    double least = (1.0 - (double)s->options.top_p) * total / (double)s->n_vocab;
    size_t n = 0;
    for (size_t i = 0; i < s->n_vocab; i++)
        if (s->weights[i] >= least)
            s->candidates[n++] = (candidate){.weight = s->weights[i], .id = (uint32_t)i};
    qsort(s->candidates, n, sizeof *s->candidates, compare);
    return n;
}

/* Draw from the sorted candidates after cutting the tail beyond top_p. */
static uint32_t draw_sorted(const sampler *s, size_t n, double total, double u)
{
    const candidate *c = s->candidates;
    double kept = 0, sum = 0;
    size_t n_kept = 0;
    while (n_kept < n && kept < (double)s->options.top_p * total) kept += c[n_kept++].weight;
    for (size_t i = 0; i < n_kept; i++) {
        sum += c[i].weight;
        if (u * kept < sum) return c[i].id;
    }
    return c[0].id;
}

static uint32_t draw(sampler *s, const float *logits, float top, double u)
{
    size_t n = s->n_vocab, k = s->options.top_k;
    float inverse = 1.0f / s->options.temperature;
    for (size_t i = 0; i < n; i++) s->weights[i] = (logits[i] - top) * inverse;
    vec_exp_sum(s->weights, n, 0);
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += s->weights[i];
    if (k > 0 && k < n) {
        size_t n_kept = keep_top_k(s, k);
        for (size_t i = 0; i < n_kept; i++) sum += s->candidates[i].weight;
        return draw_sorted(s, n_kept, sum, u);
    }
    if (s->options.top_p < 1) return draw_sorted(s, keep_likely(s, total), total, u);
    for (size_t i = 0; i < n; i++) {
        sum += s->weights[i];
        if (u * total < sum) return (uint32_t)i;
    }
    return (uint32_t)(n - 1);
}

uint32_t sampler_choose(sampler *s, const float *logits, double u, double *logprob)
{
    size_t n = s->n_vocab;
    float top = vec_max(logits, n);
    memcpy(s->weights, logits, n * sizeof *logits);
    s->log_sum = log((double)vec_exp_sum(s->weights, n, top)) + (double)top;
    uint32_t id = 0;
    if (s->options.temperature > 0)
        id = draw(s, logits, top, u);
    else
        while (id + 1 < n && logits[id] != top) id++;
    *logprob = (double)logits[id] - s->log_sum;
    return id;
}

double sampler_log_sum(const sampler *s)
{
    return s->log_sum;
}

size_t sampler_top(sampler *s, const float *logits, size_t n, token_choice *out)
{
    n = RT_MIN(n, s->n_vocab);
    if (n == 0) return 0;
    memcpy(s->weights, logits, s->n_vocab * sizeof *logits);
    keep_top_k(s, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (token_choice){
            .id = s->candidates[i].id,
            .logprob = (float)((double)s->candidates[i].weight - s->log_sum),
        };
    return n;
}
