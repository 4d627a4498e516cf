#include "worker/teacher/give_label.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/template.h"

#define REASON_WRONG "wrong_label"

bool gives_labels(const labeller *l)
{
    return l->label_given != NULL && l->label_given[0] != '\0' &&
           backend_can(l->backend, BACKEND_CAN_GENERATE);
}

/* Texts that are still to come may make it needless; of one that never comes nothing is known. */
static bool has_all_texts(const label_item *it)
{
    for (size_t i = 0; i < it->n_samples; i++)
        if (it->samples[i].answer.reason != NULL) return false;
    return it->n_samples > 0;
}

rt_status wants_label_given(const labeller *l, const label_item *it, const char *final_label,
                            bool *out, rt_error *err)
{
    char *gold = NULL;
    *out = false;
    if (!gives_labels(l) || !it->wanted || !has_all_texts(it)) return RT_OK;
    rt_status st = gold_label(&l->rules, it->example, &gold, err);
    if (st == RT_OK && gold != NULL)
        *out = final_label == NULL || !answer_equal(&l->rules, final_label, gold);
    free(gold);
    return st;
}

/* The question is the template over input and label, in the place of the bare input. */
static rt_status make_prompt(const labeller *l, const label_item *it, rt_buf *out, rt_error *err)
{
    char *gold = NULL;
    rt_buf question = {0};
    template *t = NULL;
    rt_status st = gold_label(&l->rules, it->example, &gold, err);
    if (st == RT_OK) st = template_parse(l->label_given, &t, err);
    if (st == RT_OK) {
        const template_pair pairs[] = {{"input", it->example->input}, {"label", gold}};
        st = template_render_pairs(t, pairs, RT_COUNT(pairs), &question, err);
    }
    if (st == RT_OK) st = rt_buf_add_text(&question, "", err);
    if (st == RT_OK) st = prompt_profile_render(l->prompts, question.data, out, err);
    template_free(t);
    rt_buf_free(&question);
    free(gold);
    return st;
}

/* Why the text with the label given is of no use; NULL: it is. */
static rt_status find_fault(const labeller *l, const label_item *it, const char **out,
                            rt_error *err)
{
    const sample *s = &it->given;
    const answer_policy *policy = &l->policy;
    char *gold = NULL;
    *out = NULL;
    if (s->answer.reason != NULL)
        *out = s->answer.reason;
    else if (s->parsed.status != PARSE_OK)
        *out = parse_status_name(s->parsed.status);
    else if (!s->usable)
        *out = filter_name(s->verdict.flags & policy->reject);
    else if (s->rationale == NULL)
        *out = rationale_flag_name(RATIONALE_NONE);
    else if ((s->verdict.flags & policy->drop_rationale) != 0)
        *out = filter_name(s->verdict.flags & policy->drop_rationale);
    if (*out != NULL) return RT_OK;
    rt_status st = gold_label(&l->rules, it->example, &gold, err);
    if (st == RT_OK && (gold == NULL || !answer_equal(&l->rules, s->parsed.label, gold)))
        *out = REASON_WRONG;
    free(gold);
    return st;
}

static rt_status take_given(const labeller *l, label_item *it, chosen_answer *c,
                            backend_answer *answer, label_counts *counts, rt_error *err)
{
    uint64_t n_prompt = answer->n_prompt_tokens, n_completion = answer->n_completion_tokens;
    rt_status st = label_item_give(it, l, answer, err);
    if (st == RT_OK) st = find_fault(l, it, &c->given_failed, err);
    if (st != RT_OK) return st;
    counts->n_prompt_tokens += n_prompt;
    counts->n_completion_tokens += n_completion;
    counts->n_label_given += !it->example->done;
    if (c->given_failed != NULL) return RT_OK;
    counts->n_label_given_taken += !it->example->done;
    c->gold_by = GOLD_BY_LABEL_GIVEN;
    c->said = c->label;
    c->said_reason = c->reason;
    c->sample = &it->given;
    c->label = it->given.parsed.label;
    c->rationale = it->given.rationale;
    c->reason = NULL;
    return RT_OK;
}

typedef struct round {
    backend_request *requests; /* [n] */
    backend_answer *answers;
    size_t *i_item;
    rt_buf *prompts;
    size_t n;
} round;

static void round_free(round *r)
{
    if (r->answers != NULL) backend_answers_free(r->answers, r->n);
    for (size_t i = 0; r->prompts != NULL && i < r->n; i++) rt_buf_free(&r->prompts[i]);
    free(r->requests);
    free(r->answers);
    free(r->i_item);
    free(r->prompts);
}

static rt_status list_round(const labeller *l, const label_item *items, const bool *asks, size_t n,
                            round *r, rt_error *err)
{
    r->requests = rt_calloc(n, sizeof *r->requests);
    r->answers = rt_calloc(n, sizeof *r->answers);
    r->i_item = rt_calloc(n, sizeof *r->i_item);
    r->prompts = rt_calloc(n, sizeof *r->prompts);
    if (r->requests == NULL || r->answers == NULL || r->i_item == NULL || r->prompts == NULL)
        return rt_fail(err, RT_NOMEM, "%zu requests", n);
    for (size_t i = 0; i < n; i++) {
        const label_item *it = &items[i];
        if (!asks[i]) continue;
        size_t k = r->n++;
        rt_status st = make_prompt(l, it, &r->prompts[k], err);
        if (st != RT_OK) return st;
        r->i_item[k] = i;
        r->requests[k] = (backend_request){
            .record_id = it->example->id,
            .sample = (uint32_t)it->n_samples, /* no text before had this number */
            .input = it->example->input,
            .source_id = it->example->source_id != NULL ? it->example->source_id : "",
            .prompt = r->prompts[k].data,
            .n_prompt = r->prompts[k].n};
    }
    return RT_OK;
}

rt_status give_labels(const labeller *l, label_item *items, chosen_answer *chosen, const bool *asks,
                      size_t n, label_counts *counts, rt_error *err)
{
    round r = {0};
    rt_status st = list_round(l, items, asks, n, &r, err);
    if (st != RT_OK || r.n == 0) goto out;
    if (l->should_leave != NULL && l->should_leave(l->leave_context)) {
        st = rt_fail(err, RT_CANCELLED, "stopped between two attempts");
        goto out;
    }
    st = backend_complete(l->backend, r.requests, r.n, &l->sampling, r.answers, err);
    for (size_t k = 0; st == RT_OK && k < r.n; k++)
        st = take_given(l, &items[r.i_item[k]], &chosen[r.i_item[k]], &r.answers[k], counts, err);
out:
    round_free(&r);
    return st;
}
