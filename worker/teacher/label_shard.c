#include "worker/teacher/label_shard.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "worker/teacher/ask_samples.h"
#include "worker/teacher/give_label.h"
#include "worker/teacher/make_record.h"
#include "worker/teacher/usefulness.h"

/* Examples that one teacher is asked about, and what it said. */
typedef struct stage {
    const labeller *l;
    label_item *items;
    chosen_answer *chosen;
    size_t n;
} stage;

static void stage_free(stage *s)
{
    for (size_t i = 0; s->items != NULL && s->chosen != NULL && i < s->n; i++) {
        label_item_free(&s->items[i]);
        chosen_answer_free(&s->chosen[i]);
    }
    free(s->items);
    free(s->chosen);
    memset(s, 0, sizeof *s);
}

/* The examples, the done ones of which are asked about only when `whole`. */
static rt_status stage_start(stage *s, const labeller *l, const shard_example *const *examples,
                             size_t n, bool whole, rt_error *err)
{
    bool generates = backend_can(l->backend, BACKEND_CAN_GENERATE);
    s->l = l;
    s->n = n;
    s->items = rt_calloc(n, sizeof *s->items);
    s->chosen = rt_calloc(n, sizeof *s->chosen);
    if (s->items == NULL || s->chosen == NULL)
        return rt_fail(err, RT_NOMEM, "shard of %zu examples", n);
    for (size_t i = 0; i < n; i++) {
        label_item *it = &s->items[i];
        it->example = examples[i];
        it->wanted = whole || !examples[i]->done;
        if (!it->wanted) continue;
        fault_point_about("teacher.renders", examples[i]->input);
        if (!generates) continue;
        rt_status st = prompt_profile_render(l->prompts, examples[i]->input, &it->prompt, err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static rt_status stage_run(stage *s, label_counts *counts, rt_error *err)
{
    rt_status st = ask_samples(s->l, s->items, s->n, err);
    if (st == RT_OK) st = usefulness_measure(s->l, s->items, s->n, err);
    for (size_t i = 0; st == RT_OK && i < s->n; i++) {
        const label_item *it = &s->items[i];
        if (it->n_samples > it->n_target) counts->n_retries += it->n_samples - it->n_target;
        counts->n_prompt_tokens += it->usage.n_prompt_tokens;
        counts->n_completion_tokens += it->usage.n_completion_tokens;
        st = choose_answer(s->l, it, &s->chosen[i], err);
    }
    return st;
}

/* The budget was spent before it could be asked: it stays pending. */
static bool is_not_sent(const label_item *it)
{
    const char *given = it->has_given ? it->given.answer.reason : NULL;
    if (given != NULL && strcmp(given, REASON_NOT_SENT) == 0) return true;
    for (size_t i = 0; i < it->n_samples; i++) {
        const char *reason = it->samples[i].answer.reason;
        if (reason != NULL && strcmp(reason, REASON_NOT_SENT) == 0) return true;
    }
    return false;
}

static bool needs_second(const labeller *l, const label_item *it, const chosen_answer *c)
{
    if (!it->wanted || is_not_sent(it)) return false;
    if (c->label == NULL) return l->when_rejected;
    if (c->gold_by != NULL) return false; /* it is the gold label */
    return answer_policy_votes(&l->policy) && c->votes.result.confidence < l->when_confidence_below;
}

static bool is_unit(const labeller *l)
{
    return backend_can(l->backend, BACKEND_FIXED_UNIT);
}

/* Ask the second teacher about what the first was not sure of. i_second[i] is the place of example
 * i in *second, or SIZE_MAX. */
static rt_status escalate(const stage *first, const labeller *l, const shard_example *examples,
                          stage *second, size_t *i_second, label_counts *counts, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 0;
    const shard_example **chosen = rt_calloc(first->n, sizeof *chosen);
    if (chosen == NULL) return rt_fail(err, RT_NOMEM, "shard of %zu examples", first->n);
    for (size_t i = 0; i < first->n; i++) {
        i_second[i] = SIZE_MAX;
        if (!needs_second(first->l, &first->items[i], &first->chosen[i])) continue;
        i_second[i] = n;
        chosen[n++] = &examples[i];
        counts->n_escalated += !examples[i].done;
    }
    st = stage_start(second, l, chosen, n, is_unit(l), err);
    if (st == RT_OK) st = stage_run(second, counts, err);
    free(chosen);
    return st;
}

/* Give the labels of those whose answer is wrong so far: the stage's own, else the one before it. skip
 * and before may be NULL. */
static rt_status give_in_stage(stage *s, const bool *skip, const chosen_answer *const *before,
                               label_counts *counts, rt_error *err)
{
    rt_status st = RT_OK;
    if (s->n == 0 || !gives_labels(s->l)) return RT_OK;
    bool *asks = rt_calloc(s->n, sizeof *asks);
    if (asks == NULL) return rt_fail(err, RT_NOMEM, "shard of %zu examples", s->n);
    for (size_t i = 0; st == RT_OK && i < s->n; i++) {
        if (skip != NULL && skip[i]) continue;
        const char *label = s->chosen[i].label;
        if (label == NULL && before != NULL) label = before[i]->label;
        st = wants_label_given(s->l, &s->items[i], label, &asks[i], err);
    }
    if (st == RT_OK) st = give_labels(s->l, s->items, s->chosen, asks, s->n, counts, err);
    free(asks);
    return st;
}

/* Each example is asked about by the last teacher that saw it. */
static rt_status give_all(stage *first, stage *second, const size_t *i_second, label_counts *counts,
                          rt_error *err)
{
    rt_status st = RT_OK;
    bool *seen = rt_calloc(first->n, sizeof *seen);
    const chosen_answer **before = rt_calloc(second->n, sizeof *before);
    if (seen == NULL || before == NULL) {
        st = rt_fail(err, RT_NOMEM, "shard of %zu examples", first->n);
        goto out;
    }
    for (size_t i = 0; second->n > 0 && i < first->n; i++) {
        seen[i] = i_second[i] != SIZE_MAX;
        if (seen[i]) before[i_second[i]] = &first->chosen[i];
    }
    if ((st = give_in_stage(first, seen, NULL, counts, err)) != RT_OK) goto out;
    st = give_in_stage(second, NULL, before, counts, err);
out:
    free(seen);
    free(before);
    return st;
}

static rt_status make_records(const stage *first, const stage *second, const size_t *i_second,
                              label_record *records, label_counts *counts, rt_error *err)
{
    for (size_t i = 0; i < first->n; i++) {
        bool has_second = second->n > 0 && i_second[i] != SIZE_MAX;
        size_t k = has_second ? i_second[i] : 0;
        if (first->items[i].example->done || is_not_sent(&first->items[i])) continue;
        if (has_second && is_not_sent(&second->items[k])) continue;
        teacher_outcome a = {
            .labeller = first->l, .item = &first->items[i], .chosen = &first->chosen[i]};
        teacher_outcome b = {0};
        if (has_second)
            b = (teacher_outcome){
                .labeller = second->l, .item = &second->items[k], .chosen = &second->chosen[k]};
        rt_status st = make_record(&a, has_second ? &b : NULL, &records[i], err);
        if (st != RT_OK) return st;
        if (records[i].label != NULL)
            counts->n_labelled++;
        else
            counts->n_rejected++;
    }
    return RT_OK;
}

void label_records_free(label_record *records, size_t n)
{
    for (size_t i = 0; records != NULL && i < n; i++) {
        label_record_free(&records[i]);
        memset(&records[i], 0, sizeof records[i]);
    }
}

rt_status label_shard(const labeller *l, const shard_example *examples, size_t n,
                      label_record *records, label_counts *counts, rt_error *err)
{
    rt_status st = RT_OK;
    stage first = {0}, second = {0};
    label_counts fresh_counts = {0};
    labeller stronger = {0};
    /* What a unit holds must not depend on what is done, nor may what is escalated into one. */
    bool whole = is_unit(l) || (l->second != NULL && is_unit(l->second));
    const shard_example **all = rt_calloc(n, sizeof *all);
    size_t *i_second = rt_calloc(n, sizeof *i_second);
    label_record *fresh = rt_calloc(n, sizeof *fresh);
    if (all == NULL || i_second == NULL || fresh == NULL) {
        st = rt_fail(err, RT_NOMEM, "records of %zu examples", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) all[i] = &examples[i];
    if ((st = stage_start(&first, l, all, n, whole, err)) != RT_OK) goto out;
    if ((st = stage_run(&first, &fresh_counts, err)) != RT_OK) goto out;
    if (l->second != NULL) {
        stronger = *l->second;
        stronger.should_leave = l->should_leave;
        stronger.leave_context = l->leave_context;
        st = escalate(&first, &stronger, examples, &second, i_second, &fresh_counts, err);
        if (st != RT_OK) goto out;
    }
    if ((st = give_all(&first, &second, i_second, &fresh_counts, err)) != RT_OK) goto out;
    st = make_records(&first, &second, i_second, fresh, &fresh_counts, err);
    if (st != RT_OK) goto out;
    if (n > 0) memcpy(records, fresh, n * sizeof *records);
    *counts = fresh_counts;
    memset(fresh, 0, n * sizeof *fresh);
out:
    label_records_free(fresh, n);
    free(fresh);
    free(i_second);
    free(all);
    stage_free(&first);
    stage_free(&second);
    return st;
}
