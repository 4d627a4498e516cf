#include "worker/teacher/label_shard.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"

/* One example on its way. `text` is the last attempt's, repaired to UTF-8. */
typedef struct item {
    const shard_example *example;
    bool wanted;  /* is decoded: not done, or part of a fixed unit */
    bool settled; /* has its final outcome */
    uint32_t n_attempts;
    backend_sampling sampling; /* of the last attempt */
    rt_buf prompt;
    rt_buf text;
    parsed_answer parsed;
    backend_answer answer; /* without its text */
} item;

typedef struct labelling {
    const labeller *l;
    item *items; /* [n] */
    size_t n;
    backend_request *requests; /* [n], the current attempt's */
    size_t *i_item;            /* [n], whose request it is */
    backend_answer *answers;   /* [n] */
    label_counts counts;
} labelling;

static void labelling_free(labelling *w)
{
    for (size_t i = 0; w->items != NULL && i < w->n; i++) {
        rt_buf_free(&w->items[i].prompt);
        rt_buf_free(&w->items[i].text);
        parsed_answer_free(&w->items[i].parsed);
    }
    free(w->items);
    free(w->requests);
    free(w->i_item);
    free(w->answers);
}

static rt_status labelling_start(labelling *w, const labeller *l, const shard_example *examples,
                                 size_t n, rt_error *err)
{
    bool generates = backend_can(l->backend, BACKEND_CAN_GENERATE);
    bool whole = backend_can(l->backend, BACKEND_FIXED_UNIT);
    w->l = l;
    w->n = n;
    w->items = rt_calloc(n, sizeof *w->items);
    w->requests = rt_calloc(n, sizeof *w->requests);
    w->i_item = rt_calloc(n, sizeof *w->i_item);
    w->answers = rt_calloc(n, sizeof *w->answers);
    if (w->items == NULL || w->requests == NULL || w->i_item == NULL || w->answers == NULL)
        return rt_fail(err, RT_NOMEM, "shard of %zu examples", n);
    for (size_t i = 0; i < n; i++) {
        item *it = &w->items[i];
        it->example = &examples[i];
        it->wanted = whole || !examples[i].done;
        if (!it->wanted || !generates) continue;
        rt_status st = prompt_profile_render(l->prompts, examples[i].input, &it->prompt, err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

/* The text as one valid UTF-8 C string, '\0' bytes as blanks. */
static rt_status take_text(item *it, const backend_answer *answer, rt_error *err)
{
    rt_buf_clear(&it->text);
    rt_status st = utf8_repair(answer->text, answer->n_text, &it->text, err);
    if (st == RT_OK) st = rt_buf_add_text(&it->text, "", err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < it->text.n; i++)
        if (it->text.data[i] == '\0') it->text.data[i] = ' ';
    return RT_OK;
}

static rt_status take_answer(labelling *w, item *it, backend_answer *answer, rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t n_prompt = it->answer.n_prompt_tokens + answer->n_prompt_tokens;
    uint64_t n_completion = it->answer.n_completion_tokens + answer->n_completion_tokens;
    it->answer = *answer;
    it->answer.text = NULL;
    it->answer.n_prompt_tokens = n_prompt;
    it->answer.n_completion_tokens = n_completion;
    it->n_attempts++;
    if (answer->reason != NULL) {
        it->settled = true; /* asking again would not change it */
        return RT_OK;
    }
    if ((st = take_text(it, answer, err)) != RT_OK) return st;
    parsed_answer parsed = {0};
    st = answer_parse(&w->l->rules, it->example->input, it->text.data, it->text.n,
                      answer->truncated, &parsed, err);
    if (st != RT_OK) return st;
    parsed_answer_free(&it->parsed);
    it->parsed = parsed;
    it->settled = parsed.status == PARSE_OK;
    return RT_OK;
}

static backend_sampling sampling_of(const labeller *l, uint32_t attempt)
{
    backend_sampling sampling = l->sampling;
    if (attempt > 0) sampling.temperature = RT_MAX(sampling.temperature, RETRY_TEMPERATURE_MIN);
    return sampling;
}

/* Ask once for every example that has no outcome yet; *n_asked may be 0. */
static rt_status run_attempt(labelling *w, uint32_t attempt, size_t *n_asked, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 0;
    backend_sampling sampling = sampling_of(w->l, attempt);
    for (size_t i = 0; i < w->n; i++) {
        item *it = &w->items[i];
        if (!it->wanted || it->settled) continue;
        it->sampling = sampling;
        w->i_item[n] = i;
        w->requests[n++] = (backend_request){
            .record_id = it->example->id,
            .sample = attempt,
            .input = it->example->input,
            .source_id = it->example->source_id != NULL ? it->example->source_id : "",
            .prompt = it->prompt.data != NULL ? it->prompt.data : "",
            .n_prompt = it->prompt.n};
    }
    *n_asked = n;
    if (attempt > 0) w->counts.n_retries += n;
    st = backend_complete(w->l->backend, w->requests, n, &sampling, w->answers, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < n && st == RT_OK; i++) {
        w->counts.n_prompt_tokens += w->answers[i].n_prompt_tokens;
        w->counts.n_completion_tokens += w->answers[i].n_completion_tokens;
        st = take_answer(w, &w->items[w->i_item[i]], &w->answers[i], err);
    }
    backend_answers_free(w->answers, n);
    return st;
}

static rt_status run_attempts(labelling *w, rt_error *err)
{
    bool may_retry = backend_can(w->l->backend, BACKEND_CAN_GENERATE);
    uint64_t n_max = may_retry ? w->l->attempts_max : 1;
    for (uint64_t attempt = 0; attempt < n_max; attempt++) {
        size_t n_asked = 0;
        if (attempt > 0 && w->l->should_leave != NULL && w->l->should_leave(w->l->leave_context))
            return rt_fail(err, RT_CANCELLED, "stopped between two attempts");
        rt_status st = run_attempt(w, (uint32_t)attempt, &n_asked, err);
        if (st != RT_OK || n_asked == 0) return st;
    }
    return RT_OK;
}

static json_t *parse_flags_json(unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {PARSE_FLAG_RUN_ON, "run_on"},
        {PARSE_FLAG_MULTI_MARKER, "multi_marker"},
        {PARSE_FLAG_NO_RATIONALE, "no_rationale"},
        {PARSE_FLAG_LETTER_MISMATCH, "letter_mismatch"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if ((flags & names[i].flag) != 0) json_array_append_new(list, json_string(names[i].name));
    return list;
}

/* No times and no host: the same labels give the same bytes. */
static rt_status make_meta(const labeller *l, const item *it, char **out, rt_error *err)
{
    bool generates = backend_can(l->backend, BACKEND_CAN_GENERATE);
    json_t *meta = json_pack("{s:s, s:s, s:I, s:o}", "teacher", l->name, "backend",
                             backend_name(l->backend), "attempts", (json_int_t)it->n_attempts,
                             "parse", parse_flags_json(it->parsed.flags));
    if (meta == NULL) return rt_fail(err, RT_NOMEM, "meta of a record");
    if (it->answer.finish_reason != NULL)
        json_object_set_new(meta, "finish_reason", json_string(it->answer.finish_reason));
    if (generates) {
        json_object_set_new(meta, "prompt_hash", json_string(prompt_profile_hash(l->prompts)));
        json_object_set_new(meta, "sampling",
                            json_pack("{s:f, s:I, s:f, s:I}", "temperature",
                                      it->sampling.temperature, "top_k",
                                      (json_int_t)it->sampling.top_k, "top_p", it->sampling.top_p,
                                      "seed", (json_int_t)it->sampling.seed));
        json_object_set_new(meta, "tokens",
                            json_pack("{s:I, s:I}", "prompt",
                                      (json_int_t)it->answer.n_prompt_tokens, "completion",
                                      (json_int_t)it->answer.n_completion_tokens));
    }
    if (it->answer.has_logprob)
        json_object_set_new(meta, "logprob", json_real(it->answer.sum_logprob));
    char *text = json_dumps(meta, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(meta);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "meta of a record");
    *out = text;
    return RT_OK;
}

static bool copy_if_any(const char *text, char **out)
{
    if (text == NULL || text[0] == '\0') return true;
    *out = strdup(text);
    return *out != NULL;
}

static rt_status make_record(const labeller *l, const item *it, label_record *out, rt_error *err)
{
    label_record r = {.id = it->example->id};
    rt_status st = RT_OK;
    bool labelled = it->answer.reason == NULL && it->parsed.status == PARSE_OK;
    bool ok = copy_if_any(it->example->source_id, &r.source_id);
    ok = ok && (r.input = strdup(it->example->input)) != NULL;
    ok = ok && (it->example->gold == NULL || (r.gold = strdup(it->example->gold)) != NULL);
    ok = ok && copy_if_any(it->parsed.rationale, &r.rationale);
    if (labelled) {
        ok = ok && (r.label = strdup(it->parsed.label)) != NULL;
    } else {
        const char *reason =
            it->answer.reason != NULL ? it->answer.reason : parse_status_name(it->parsed.status);
        size_t n_raw = utf8_valid_prefix(it->text.data != NULL ? it->text.data : "",
                                         RT_MIN(it->text.n, RAW_BYTES_MAX));
        ok = ok && (r.reason = strdup(reason)) != NULL;
        ok = ok && (r.raw = rt_strndup(it->text.data != NULL ? it->text.data : "", n_raw)) != NULL;
    }
    if (!ok) {
        st = rt_fail(err, RT_NOMEM, "record of a label");
        goto out;
    }
    if ((st = make_meta(l, it, &r.meta, err)) != RT_OK) goto out;
    *out = r;
    memset(&r, 0, sizeof r);
out:
    label_record_free(&r);
    return st;
}

static bool is_not_sent(const item *it)
{
    return it->answer.reason != NULL && strcmp(it->answer.reason, REASON_NOT_SENT) == 0;
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
    labelling w = {0};
    label_record *fresh = rt_calloc(n, sizeof *fresh);
    if (fresh == NULL) {
        st = rt_fail(err, RT_NOMEM, "records of %zu examples", n);
        goto out;
    }
    if ((st = labelling_start(&w, l, examples, n, err)) != RT_OK) goto out;
    if ((st = run_attempts(&w, err)) != RT_OK) goto out;
    for (size_t i = 0; i < n; i++) {
        if (examples[i].done || is_not_sent(&w.items[i])) continue;
        if ((st = make_record(l, &w.items[i], &fresh[i], err)) != RT_OK) goto out;
        if (fresh[i].label != NULL)
            w.counts.n_labelled++;
        else
            w.counts.n_rejected++;
    }
    memcpy(records, fresh, n * sizeof *records);
    *counts = w.counts;
    memset(fresh, 0, n * sizeof *fresh);
out:
    label_records_free(fresh, n);
    free(fresh);
    labelling_free(&w);
    return st;
}
