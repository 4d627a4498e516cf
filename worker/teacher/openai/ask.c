#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/rng.h"
#include "worker/teacher/openai/answer_bytes.h"
#include "worker/teacher/openai/asking.h"
#include "worker/teacher/openai/prompt_limit.h"

#define SEED_BITS 31 /* servers differ in what they take; all take this */

static openai_question question_of(const asking *w, size_t i_request, openai_stage stage)
{
    const backend_request *r = &w->requests[i_request];
    return (openai_question){.stage = stage,
                             .prompt = r->prompt,
                             .n_prompt = r->n_prompt,
                             .n = 1,
                             .temperature = w->sampling->temperature,
                             .top_k = w->sampling->top_k,
                             .top_p = w->sampling->top_p,
                             .seed = w->sampling->seed};
}

static openai_stage first_stage(const asking *w)
{
    return w->t->config->teacher.two_step ? OPENAI_THINK : OPENAI_ANSWER;
}

rt_status ask_body(asking *w, const ask *a, rt_error *err)
{
    const backend_request *r = &w->requests[w->order[a->first]];
    openai_question q = question_of(w, w->order[a->first], a->stage);
    rng_key key = rng_key_make(w->sampling->seed, "openai.seed", r->record_id, r->sample);
    q.n = a->stage == OPENAI_ANSWER ? a->n : 1;
    q.seed = rng_u64(key, a->n_rounds) >> (64 - SEED_BITS);
    q.thought = a->thought.data != NULL ? a->thought.data : "";
    q.n_thought = a->thought.n;
    return openai_request_body(&w->t->shape, &q, &w->body, err);
}

/* The body as if it were asked alone, with the run's seed: what shapes the answer, and not for
 * which record or in whose company it was asked. Overwrites w->body. `kind` tells apart what
 * becomes of one body: the first of two steps gives a thought, and both together an answer. */
static rt_status key_of(asking *w, size_t i_request, const char *kind, rt_id *out, rt_error *err)
{
    openai_question q = question_of(w, i_request, first_stage(w));
    rt_status st = openai_request_body(&w->t->shape, &q, &w->body, err);
    if (st != RT_OK) return st;
    answer_key_parts parts = {.base_url = w->t->config->teacher.base_url,
                              .kind = kind,
                              .body = w->body.data,
                              .n_body = w->body.n,
                              .sample = w->requests[i_request].sample};
    return answer_key(&parts, out, err);
}

/* How the second step asks and reads does not shape a thought: it is kept when they change. */
static const char *thought_kind(const asking *w)
{
    return w->t->shape.chat ? "chat\nthought" : "completions\nthought";
}

rt_status asking_keys(asking *w, size_t i_request, rt_id out[ASKING_KEYS], size_t *n, rt_error *err)
{
    *n = 0;
    if (w->t->config->teacher.two_step) {
        rt_status st = key_of(w, i_request, thought_kind(w), &out[(*n)++], err);
        if (st != RT_OK) return st;
    }
    return key_of(w, i_request, w->t->kind.data, &out[(*n)++], err);
}

/* A cache that cannot be read is as good as none. */
static rt_status cache_get(asking *w, size_t i_request, const char *kind, backend_answer *out,
                           bool *found, rt_error *err)
{
    rt_id key;
    rt_buf bytes = {0};
    rt_error why = {0};
    *found = false;
    if (w->t->means.cache == NULL) return RT_OK;
    rt_status st = key_of(w, i_request, kind, &key, err);
    if (st != RT_OK) return st;
    st = answer_cache_get(w->t->means.cache, key, &bytes, &why);
    if (st == RT_OK) st = answer_from_bytes(bytes.data, bytes.n, out, &why);
    *found = st == RT_OK;
    if (st != RT_OK && st != RT_NOTFOUND) rt_log_warn("teacher.cache_get", "why=\"%s\"", why.text);
    rt_buf_free(&bytes);
    return RT_OK;
}

static rt_status cache_put(asking *w, size_t i_request, const char *kind, const backend_answer *a,
                           rt_error *err)
{
    rt_id key;
    rt_buf bytes = {0};
    rt_error why = {0};
    if (w->t->means.cache == NULL) return RT_OK;
    rt_status st = key_of(w, i_request, kind, &key, err);
    if (st != RT_OK) return st;
    st = answer_to_bytes(a, &bytes, &why);
    if (st == RT_OK) st = answer_cache_put(w->t->means.cache, key, bytes.data, bytes.n, &why);
    if (st != RT_OK) rt_log_warn("teacher.cache_put", "why=\"%s\"", why.text);
    rt_buf_free(&bytes);
    return RT_OK;
}

/* So that a large shard of long answers does not fill the memory. */
static void bound_topk(asking *w, backend_answer *a)
{
    if (a->topk == NULL) return;
    size_t n = strlen(a->topk);
    if (n <= TOPK_CALL_BYTES_MAX - w->n_topk_bytes) {
        w->n_topk_bytes += n;
        return;
    }
    free(a->topk);
    a->topk = NULL;
    openai_count(w->t, "topk_left_out", 1);
}

/* Into the cache, whole. */
static rt_status keep_answer(asking *w, size_t i_request, rt_error *err)
{
    rt_status st = cache_put(w, i_request, w->t->kind.data, &w->answers[i_request], err);
    bound_topk(w, &w->answers[i_request]);
    return st;
}

static rt_status keep_thought(asking *w, const ask *a, rt_error *err)
{
    const openai_usage *u = &a->thought_usage;
    backend_answer thought = {.text = a->thought.data,
                              .n_text = a->thought.n,
                              .finish_reason = "stop",
                              .n_prompt_tokens = u->n_prompt,
                              .n_completion_tokens = u->n_completion,
                              .n_reasoning_tokens = u->n_reasoning,
                              .n_cached_tokens = u->n_cached};
    return cache_put(w, w->order[a->first], thought_kind(w), &thought, err);
}

/* The first of two steps may have been paid for although the second never was. */
static rt_status take_cached_thought(asking *w, ask *a, rt_error *err)
{
    bool found;
    backend_answer thought = {0};
    rt_status st = cache_get(w, w->order[a->first], thought_kind(w), &thought, &found, err);
    if (st != RT_OK || !found) return st;
    if (thought.n_text > 0) {
        st = rt_buf_add(&a->thought, thought.text, thought.n_text, err);
        a->thought_usage = (openai_usage){.known = true,
                                          .n_prompt = thought.n_prompt_tokens,
                                          .n_completion = thought.n_completion_tokens,
                                          .n_reasoning = thought.n_reasoning_tokens,
                                          .n_cached = thought.n_cached_tokens};
        a->stage = OPENAI_EXTRACT;
        openai_count(w->t, "cached_thoughts", 1);
    }
    backend_answers_free(&thought, 1);
    return st;
}

static int by_record(const void *a, const void *b, void *context)
{
    const backend_request *requests = context;
    size_t i = *(const size_t *)a, k = *(const size_t *)b;
    int order = rt_id_compare(requests[i].record_id, requests[k].record_id);
    return order != 0 ? order : (i > k) - (i < k);
}

static int by_first_request(const void *a, const void *b, void *context)
{
    const size_t *order = context;
    size_t i = order[((const ask *)a)->first], k = order[((const ask *)b)->first];
    return (i > k) - (i < k);
}

static bool are_one_question(const backend_request *a, const backend_request *b)
{
    return rt_id_equal(a->record_id, b->record_id) && a->n_prompt == b->n_prompt &&
           memcmp(a->prompt, b->prompt, a->n_prompt) == 0;
}

/* What is answered without asking: too long, or paid for before. Of the others the numbers go into
 * w->order[0..*n). */
static rt_status list_open(asking *w, size_t *n, rt_error *err)
{
    size_t n_too_long = 0;
    for (size_t i = 0; i < w->n; i++) {
        bool found = false;
        const backend_request *r = &w->requests[i];
        if (prompt_limit_refuses(w->t->config, r->prompt, r->n_prompt)) {
            w->answers[i].reason = REASON_PROMPT_TOO_LONG;
            n_too_long++;
            continue;
        }
        rt_status st = cache_get(w, i, w->t->kind.data, &w->answers[i], &found, err);
        if (st != RT_OK) return st;
        bound_topk(w, &w->answers[i]);
        if (!found) w->order[(*n)++] = i;
    }
    openai_count(w->t, "cache_hits", w->n - n_too_long - *n);
    openai_count(w->t, "given_up", n_too_long);
    return RT_OK;
}

rt_status asks_make(asking *w, rt_error *err)
{
    size_t n = 0, n_max = (size_t)w->t->config->teacher.choices_max;
    if (w->t->config->teacher.two_step) n_max = 1; /* each sample has a thought of its own */
    w->order = rt_calloc(w->n, sizeof *w->order);
    w->asks = rt_calloc(w->n, sizeof *w->asks);
    if (w->order == NULL || w->asks == NULL)
        return rt_fail(err, RT_NOMEM, "requests of a shard of %zu", w->n);
    rt_status st = list_open(w, &n, err);
    if (st != RT_OK) return st;
    if (n_max > 1) qsort_r(w->order, n, sizeof *w->order, by_record, (void *)w->requests);
    for (size_t i = 0; i < n;) {
        ask *a = &w->asks[w->n_asks++];
        *a = (ask){.first = i, .n = 1, .stage = first_stage(w)};
        while (a->n < n_max && i + a->n < n &&
               are_one_question(&w->requests[w->order[i]], &w->requests[w->order[i + a->n]]))
            a->n++;
        i += a->n;
        st = a->stage == OPENAI_THINK ? take_cached_thought(w, a, err) : RT_OK;
        if (st != RT_OK) return st;
    }
    if (n_max > 1) qsort_r(w->asks, w->n_asks, sizeof *w->asks, by_first_request, (void *)w->order);
    st = due_queue_init(&w->due, w->n_asks, err);
    for (size_t i = 0; st == RT_OK && i < w->n_asks; i++) due_queue_add(&w->due, i, 0);
    w->n_open = w->n_asks;
    return st;
}

void asks_free(asking *w)
{
    for (size_t i = 0; w->asks != NULL && i < w->n_asks; i++) rt_buf_free(&w->asks[i].thought);
    free(w->asks);
    free(w->order);
    due_queue_free(&w->due);
    rt_buf_free(&w->body);
}

/* An answer in JSON becomes a text. What is no such thing is not usable, or cut. */
static rt_status read_json(const asking *w, openai_choice *c, bool *usable, rt_error *err)
{
    rt_buf text = {0}, rationale = {0};
    rt_status st = json_answer_text(&w->t->json, c->text.data, c->text.n, &text, &rationale, err);
    if (st == RT_OK) {
        rt_buf_free(&c->text);
        c->text = text;
        text = (rt_buf){0};
        if (rationale.n > 0 && c->reasoning.n == 0) {
            rt_buf_free(&c->reasoning);
            c->reasoning = rationale;
            c->rationale_source = "json";
            rationale = (rt_buf){0};
        }
    } else if (st == RT_CORRUPT) {
        st = RT_OK;
        *usable = c->truncated;
        if (c->truncated) c->reason = REASON_TRUNCATED;
    }
    rt_buf_free(&text);
    rt_buf_free(&rationale);
    return st;
}

static bool has_marker(const text_list *markers, const char *text)
{
    for (unsigned i = 0; i < markers->n; i++)
        if (strcasestr(text, markers->items[i]) != NULL) return true;
    return markers->n == 0;
}

/* The second of two answers holds a bare label: put the marker there that the parser looks for. The
 * thought is its rationale. */
static rt_status join_steps(const asking *w, ask *a, openai_choice *c, rt_error *err)
{
    rt_buf text = {0};
    const text_list *markers = &w->t->config->task.markers;
    const char *label = c->text.data != NULL ? c->text.data : "";
    if (c->reason == NULL && !has_marker(markers, label)) {
        rt_status st = rt_buf_printf(&text, err, "%s %s", markers->items[0], label);
        if (st != RT_OK) return st;
        rt_buf_free(&c->text);
        c->text = text;
    }
    rt_buf_free(&c->reasoning);
    c->reasoning = a->thought;
    a->thought = (rt_buf){0};
    c->rationale_source = "two_step";
    return RT_OK;
}

/* Part i of n of what was counted for n together. */
static uint64_t share_of(uint64_t total, size_t i, size_t n)
{
    return total / n + (i < total % n);
}

static rt_status fill_answer(const ask *a, openai_choice *c, const openai_usage *usage, size_t i,
                             size_t n, backend_answer *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(&c->text, "", err); /* an empty text is a text too */
    if (st != RT_OK) return st;
    *out = (backend_answer){
        .reason = c->reason,
        .text = c->text.data,
        .n_text = c->text.n,
        .finish_reason = c->finish_reason,
        .truncated = c->truncated,
        .n_prompt_tokens = share_of(usage->n_prompt, i, n),
        .n_completion_tokens = share_of(usage->n_completion, i, n),
        .n_reasoning_tokens = share_of(usage->n_reasoning, i, n),
        .n_cached_tokens = share_of(usage->n_cached, i, n),
        .has_logprob = c->has_logprob,
        .sum_logprob = c->sum_logprob,
        .cost = a->cost / (double)n,
    };
    c->text = (rt_buf){0};
    if (c->reasoning.n > 0) {
        out->reasoning = c->reasoning.data;
        out->rationale_source = c->rationale_source;
        c->reasoning = (rt_buf){0};
    }
    if (c->topk.n > 0) {
        out->topk = c->topk.data;
        c->topk = (rt_buf){0};
    }
    return RT_OK;
}

/* A rationale is a C string. */
static void blank_zeros(rt_buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->data[i] == '\0') b->data[i] = ' ';
}

/* The first of two answers: a thought, or a reason why there is none. */
static rt_status take_thought(asking *w, ask *a, openai_reply *reply, size_t *n_used, rt_error *err)
{
    openai_choice *c = &reply->choices[0];
    if (c->truncated && c->reason == NULL) c->reason = REASON_TRUNCATED_REASONING;
    if (c->reason != NULL) {
        size_t i = w->order[a->first];
        rt_status st = fill_answer(a, c, &reply->usage, 0, 1, &w->answers[i], err);
        if (st == RT_OK) st = keep_answer(w, i, err);
        a->n = 0;
        *n_used = 1;
        return st;
    }
    /* A model that thinks by itself may have put all of it there. */
    rt_buf *thought = c->text.n > 0 ? &c->text : &c->reasoning;
    if (thought->n == 0) {
        a->n_rounds++;
        return RT_OK;
    }
    a->thought = *thought;
    *thought = (rt_buf){0};
    blank_zeros(&a->thought);
    a->thought_usage = reply->usage;
    a->stage = OPENAI_EXTRACT;
    *n_used = 1;
    return keep_thought(w, a, err);
}

static void add_usage(openai_usage *to, const openai_usage *more)
{
    to->n_prompt += more->n_prompt;
    to->n_completion += more->n_completion;
    to->n_reasoning += more->n_reasoning;
    to->n_cached += more->n_cached;
}

/* Which choices hold something, at most as many as are wanted. */
static rt_status find_usable(const asking *w, const ask *a, openai_reply *reply, size_t *i_usable,
                             size_t *n_usable, rt_error *err)
{
    *n_usable = 0;
    for (size_t i = 0; i < reply->n_choices && *n_usable < a->n; i++) {
        openai_choice *c = &reply->choices[i];
        bool usable = true;
        if (w->t->schema != NULL && c->reason == NULL) {
            rt_status st = read_json(w, c, &usable, err);
            if (st != RT_OK) return st;
        }
        if (usable) i_usable[(*n_usable)++] = i;
    }
    return RT_OK;
}

rt_status ask_take_reply(asking *w, ask *a, openai_reply *reply, size_t *n_used, rt_error *err)
{
    size_t n = 0, i_usable[OPENAI_CHOICES_MAX];
    *n_used = 0;
    if (a->stage == OPENAI_THINK) return take_thought(w, a, reply, n_used, err);
    rt_status st = find_usable(w, a, reply, i_usable, &n, err);
    if (st != RT_OK) return st;
    if (a->stage == OPENAI_EXTRACT) add_usage(&reply->usage, &a->thought_usage);
    for (size_t k = 0; k < n; k++) {
        size_t i = w->order[a->first + k];
        openai_choice *c = &reply->choices[i_usable[k]];
        if (a->stage == OPENAI_EXTRACT && (st = join_steps(w, a, c, err)) != RT_OK) return st;
        st = fill_answer(a, c, &reply->usage, k, n, &w->answers[i], err);
        if (st == RT_OK) st = keep_answer(w, i, err);
        if (st != RT_OK) return st;
    }
    if (n > 0) a->cost = 0;
    a->first += n;
    a->n -= n;
    if (a->n > 0) a->n_rounds++;
    *n_used = n;
    return RT_OK;
}

void ask_give_up(asking *w, ask *a, const char *reason)
{
    double cost = a->n > 0 ? a->cost / (double)a->n : 0;
    for (; a->n > 0; a->n--, a->first++)
        w->answers[w->order[a->first]] = (backend_answer){.reason = reason, .cost = cost};
}
