#include "worker/teacher/ask_samples.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "worker/teacher/choose_answer.h"
#include "worker/teacher/vote_stop.h"

/* Requests of one round. */
typedef struct request_list {
    backend_request *requests;
    size_t *i_item; /* whose request it is */
    backend_answer *answers;
    size_t n;
} request_list;

static void request_list_free(request_list *list)
{
    backend_answers_free(list->answers, list->n);
    free(list->requests);
    free(list->i_item);
    free(list->answers);
    memset(list, 0, sizeof *list);
}

static size_t n_wanted(const labeller *l)
{
    return (size_t)RT_MAX(l->policy.samples, 1);
}

static bool may_stop_early(const labeller *l)
{
    return n_wanted(l) > 1 && l->policy.stop_probability > 0 && l->policy.stop_probability < 1;
}

/* Texts that will never come count as if they were there: asking again would not change it. */
static size_t n_closed(const label_item *it)
{
    size_t n = 0;
    for (size_t i = 0; i < it->n_samples; i++) n += it->samples[i].answer.reason != NULL;
    return n;
}

static size_t n_missing(const labeller *l, const label_item *it)
{
    size_t n_attempts = backend_can(l->backend, BACKEND_CAN_GENERATE) ? l->attempts_max : 1;
    size_t n_texts_max = it->n_target * n_attempts, n_settled = n_closed(it);
    for (size_t i = 0; i < it->n_samples; i++) n_settled += it->samples[i].usable;
    if (!it->wanted || n_settled >= it->n_target || it->n_samples >= n_texts_max) return 0;
    return RT_MIN(it->n_target - n_settled, n_texts_max - it->n_samples);
}

/* Further votes where the vote is still open. */
static rt_status raise_target(const labeller *l, label_item *it, rt_error *err)
{
    answer_votes votes = {0};
    size_t n_top = 0, n_next = 0;
    size_t n_left = n_wanted(l) - it->n_target;
    if (!it->wanted || n_left == 0 || n_closed(it) > 0) return RT_OK;
    rt_status st = count_votes(l, it, &votes, err);
    if (st != RT_OK) return st;
    for (size_t g = 0; g < votes.n_groups; g++) {
        size_t n = votes.tallies[g].n;
        if (g == votes.result.winner)
            n_top = n;
        else
            n_next = RT_MAX(n_next, n);
    }
    it->n_target += vote_n_more(n_top, n_next, n_left, l->policy.stop_probability);
    answer_votes_free(&votes);
    return RT_OK;
}

static rt_status list_requests(const labeller *l, label_item *items, size_t n, request_list *list,
                               rt_error *err)
{
    size_t n_all = 0;
    for (size_t i = 0; i < n; i++) n_all += n_missing(l, &items[i]);
    list->requests = rt_calloc(n_all, sizeof *list->requests);
    list->i_item = rt_calloc(n_all, sizeof *list->i_item);
    list->answers = rt_calloc(n_all, sizeof *list->answers);
    if (list->requests == NULL || list->i_item == NULL || list->answers == NULL)
        return rt_fail(err, RT_NOMEM, "%zu requests", n_all);
    for (size_t i = 0; i < n; i++) {
        const label_item *it = &items[i];
        size_t n_more = n_missing(l, it);
        for (size_t k = 0; k < n_more; k++) {
            list->i_item[list->n] = i;
            list->requests[list->n++] = (backend_request){
                .record_id = it->example->id,
                .sample = (uint32_t)(it->n_samples + k),
                .input = it->example->input,
                .source_id = it->example->source_id != NULL ? it->example->source_id : "",
                .prompt = it->prompt.data != NULL ? it->prompt.data : "",
                .n_prompt = it->prompt.n};
        }
    }
    return RT_OK;
}

static backend_sampling sampling_of(const labeller *l, bool is_retry)
{
    backend_sampling sampling = l->sampling;
    if (answer_policy_votes(&l->policy))
        sampling.temperature = l->policy.temperature;
    else if (is_retry)
        sampling.temperature = RT_MAX(sampling.temperature, RETRY_TEMPERATURE_MIN);
    return sampling;
}

static rt_status check_leave(const labeller *l, rt_error *err)
{
    if (l->should_leave == NULL || !l->should_leave(l->leave_context)) return RT_OK;
    return rt_fail(err, RT_CANCELLED, "stopped between two attempts");
}

static rt_status take_answers(const labeller *l, label_item *items, request_list *list,
                              const backend_sampling *sampling, rt_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        label_item *it = &items[list->i_item[i]];
        it->sampling = *sampling;
        rt_status st = label_item_take(it, l, &list->answers[i], err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

/* A fixed unit is decoded at once, so it never has more requests than examples: memory does not
 * grow with the number of samples. */
static rt_status complete_all(const labeller *l, size_t n_items, request_list *list,
                              const backend_sampling *sampling, rt_error *err)
{
    bool is_unit = backend_can(l->backend, BACKEND_FIXED_UNIT);
    size_t n_at_once = is_unit ? n_items : list->n;
    for (size_t i = 0; i < list->n; i += n_at_once) {
        rt_status st = i > 0 ? check_leave(l, err) : RT_OK;
        if (st != RT_OK) return st;
        fault_point("teacher.before_request");
        st = backend_complete(l->backend, list->requests + i, RT_MIN(n_at_once, list->n - i),
                              sampling, list->answers + i, err);
        if (st != RT_OK) return st;
        fault_point("teacher.after_answer");
    }
    return RT_OK;
}

static rt_status ask_round(const labeller *l, label_item *items, size_t n, size_t round,
                           bool *is_last, rt_error *err)
{
    rt_status st = RT_OK;
    request_list list = {0};
    backend_sampling sampling = sampling_of(l, round > 0);
    if ((st = list_requests(l, items, n, &list, err)) != RT_OK) goto out;
    *is_last = list.n == 0;
    if (list.n == 0) goto out;
    if (round > 0 && (st = check_leave(l, err)) != RT_OK) goto out;
    if ((st = complete_all(l, n, &list, &sampling, err)) != RT_OK) goto out;
    st = take_answers(l, items, &list, &sampling, err);
out:
    request_list_free(&list);
    return st;
}

rt_status ask_samples(const labeller *l, label_item *items, size_t n, rt_error *err)
{
    rt_status st = RT_OK;
    bool is_last = n == 0, early = may_stop_early(l);
    size_t n_first = early ? RT_MIN(RT_MAX(l->policy.samples_min, 1), n_wanted(l)) : n_wanted(l);
    for (size_t i = 0; i < n; i++) items[i].n_target = n_first;
    for (size_t round = 0; st == RT_OK && !is_last; round++) {
        for (size_t i = 0; early && round > 0 && st == RT_OK && i < n; i++)
            if (n_missing(l, &items[i]) == 0) st = raise_target(l, &items[i], err);
        if (st == RT_OK) st = ask_round(l, items, n, round, &is_last, err);
    }
    return st;
}
