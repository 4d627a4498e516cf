#include "worker/teacher/usefulness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/sim_hash.h"
#include "common/text/template.h"
#include "worker/teacher/choose_answer.h"

/* Stands for the label while what comes before it is found; no text of a model holds it. */
#define PLACE "\x01"

/* What is asked about one item: the label behind a prompt for each rationale, and behind the bare one. */
typedef struct questions {
    rt_buf bare;      /* prompt and lead-in without a rationale */
    rt_buf *prompts;  /* [n] */
    size_t *i_sample; /* [n] */
    double *scores;   /* [n + 1]; the last is of the bare prompt */
    size_t n;
} questions;

static void questions_free(questions *q, size_t n_samples)
{
    for (size_t i = 0; q->prompts != NULL && i < n_samples; i++) rt_buf_free(&q->prompts[i]);
    free(q->prompts);
    free(q->i_sample);
    free(q->scores);
    rt_buf_free(&q->bare);
}

/* "The answer is" of "{marker} {label}.": what is written before a label, without blanks around it. */
static rt_status lead_in(const labeller *l, rt_buf *out, rt_error *err)
{
    rt_buf whole = {0};
    template *format = NULL;
    const char *marker = l->rules.n_markers > 0 ? l->rules.markers[0] : "";
    const template_pair pairs[] = {{"label", PLACE}, {"marker", marker}};
    rt_status st = template_parse(l->scorer.label_format, &format, err);
    if (st == RT_OK) st = template_render_pairs(format, pairs, RT_COUNT(pairs), &whole, err);
    if (st == RT_OK) st = rt_buf_add_text(&whole, "", err);
    const char *end = st == RT_OK ? strstr(whole.data, PLACE) : NULL;
    if (st == RT_OK && end == NULL)
        st = rt_fail(err, RT_INVALID, "task.label_format: '%s' has no {label} to score",
                     l->scorer.label_format);
    if (st == RT_OK) {
        const char *from = whole.data;
        while (from < end && strchr(" \t\n", *from) != NULL) from++;
        while (end > from && strchr(" \t\n", end[-1]) != NULL) end--;
        st = rt_buf_add(out, from, (size_t)(end - from), err);
        if (st == RT_OK) st = rt_buf_add_text(out, "", err);
    }
    template_free(format);
    rt_buf_free(&whole);
    return st;
}

static rt_status make_prompt(const labeller *l, const label_item *it, const char *rationale,
                             const char *lead, rt_buf *out, rt_error *err)
{
    const prompt_profile *p = l->scorer.prompts != NULL ? l->scorer.prompts : l->prompts;
    rt_status st = prompt_profile_render(p, it->example->input, out, err);
    if (st == RT_OK && rationale != NULL) st = rt_buf_add_text(out, rationale, err);
    if (st == RT_OK && rationale != NULL && lead[0] != '\0') st = rt_buf_add_text(out, " ", err);
    return st == RT_OK ? rt_buf_add_text(out, lead, err) : st;
}

static bool competes(const label_item *it, const answer_votes *votes, size_t group, size_t i)
{
    return votes->groups[i] == group && it->samples[i].rationale != NULL &&
           it->samples[i].verdict.n_words > 0;
}

/* The first competitor that says nearly the same as i; i itself when none does. */
static size_t twin_of(const label_item *it, const answer_votes *votes, size_t group, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (competes(it, votes, group, k) &&
            sim_hash_distance(it->samples[k].verdict.sim_hash, it->samples[i].verdict.sim_hash) <=
                SIM_NEAR)
            return k;
    return i;
}

static rt_status ask_scorer(const labeller *l, const label_item *it, const char *label,
                            questions *q, rt_error *err)
{
    size_t n = q->n + 1;
    backend_request *requests = rt_calloc(n, sizeof *requests);
    const char **texts = rt_calloc(n, sizeof *texts);
    rt_status st = requests == NULL || texts == NULL
                       ? rt_fail(err, RT_NOMEM, "scores of %zu rationales", n)
                       : RT_OK;
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        const rt_buf *prompt = i < q->n ? &q->prompts[i] : &q->bare;
        requests[i] = (backend_request){.record_id = it->example->id,
                                        .input = it->example->input,
                                        .source_id = "",
                                        .prompt = prompt->data,
                                        .n_prompt = prompt->n};
        texts[i] = label;
    }
    if (st == RT_OK) st = backend_score(l->scorer.backend, requests, texts, n, q->scores, err);
    free(requests);
    free(texts);
    return st;
}

static rt_status list_questions(const labeller *l, const label_item *it, const answer_votes *votes,
                                size_t group, const char *lead, questions *q, rt_error *err)
{
    rt_status st = RT_OK;
    q->prompts = rt_calloc(it->n_samples, sizeof *q->prompts);
    q->i_sample = rt_calloc(it->n_samples, sizeof *q->i_sample);
    q->scores = rt_calloc(it->n_samples + 1, sizeof *q->scores);
    if (q->prompts == NULL || q->i_sample == NULL || q->scores == NULL)
        return rt_fail(err, RT_NOMEM, "scores of %zu rationales", it->n_samples);
    for (size_t i = 0; st == RT_OK && i < it->n_samples; i++) {
        if (!competes(it, votes, group, i) || twin_of(it, votes, group, i) != i) continue;
        st = make_prompt(l, it, it->samples[i].rationale, lead, &q->prompts[q->n], err);
        q->i_sample[q->n++] = i;
    }
    if (st == RT_OK && q->n > 0) st = make_prompt(l, it, NULL, lead, &q->bare, err);
    return st;
}

static void take_scores(const labeller *l, label_item *it, const answer_votes *votes, size_t group,
                        const questions *q)
{
    double bare = q->scores[q->n];
    for (size_t k = 0; k < q->n; k++) {
        sample *s = &it->samples[q->i_sample[k]];
        double gain = q->scores[k] - bare;
        s->has_usefulness = isfinite(gain);
        s->usefulness = s->has_usefulness ? gain : 0;
    }
    for (size_t i = 0; i < it->n_samples; i++) {
        if (!competes(it, votes, group, i)) continue;
        sample *s = &it->samples[i];
        const sample *first = &it->samples[twin_of(it, votes, group, i)];
        s->has_usefulness = first->has_usefulness;
        s->usefulness = first->usefulness;
        if (s->has_usefulness && s->usefulness < l->policy.useful_min)
            s->verdict.flags |= RATIONALE_USELESS;
    }
}

static rt_status measure_item(const labeller *l, label_item *it, const char *lead, rt_error *err)
{
    answer_votes votes = {0};
    questions q = {0};
    size_t group = VOTE_NONE;
    rt_status st = count_votes(l, it, &votes, err);
    if (st == RT_OK) st = chosen_group(l, it, &votes, &group, err);
    if (st == RT_OK && group != VOTE_NONE) {
        st = list_questions(l, it, &votes, group, lead, &q, err);
        if (st == RT_OK && q.n > 0) {
            st = ask_scorer(l, it, votes.labels[group], &q, err);
            if (st == RT_OK) take_scores(l, it, &votes, group, &q);
        }
    }
    questions_free(&q, it->n_samples);
    answer_votes_free(&votes);
    return st;
}

rt_status usefulness_measure(const labeller *l, label_item *items, size_t n, rt_error *err)
{
    rt_buf lead = {0};
    if (l->scorer.backend == NULL) return RT_OK;
    rt_status st = lead_in(l, &lead, err);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        if (items[i].wanted) st = measure_item(l, &items[i], lead.data, err);
    rt_buf_free(&lead);
    return st;
}
