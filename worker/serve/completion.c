#include "worker/serve/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http_server/sse.h"
#include "worker/serve/answer_plan.h"
#include "worker/serve/logprobs_json.h"
#include "worker/serve/text_stream.h"

/* One sequence: what was asked, what came. */
typedef struct decoding {
    id_list prompt;
    text_stream text;
    rt_buf written; /* of a plan that reads parts: all of the text, repaired */
    bool at_start;
    bool done;
    bool truncated;
    response_token *tokens; /* [n_tokens], only when log-probabilities are wanted */
    size_t n_tokens, n_tokens_room;
    size_t n_sent;      /* of them, in earlier chunks */
    size_t text_offset; /* characters of those */
    size_t n_new;       /* tokens that came, the end mark included */
} decoding;

struct completion {
    const served_model *m;
    serve_request ask;
    answer_plan plan;
    response_head head;
    uint64_t seed;
    decoding *decodings; /* [n_choices, plan.n_parts] */
    bool *begun;         /* [n_choices], of a stream: its first chunk is out */
    size_t n_choices, n_done;
    size_t n_prompt_tokens;
};

static size_t n_decodings(const completion *c)
{
    return c->n_choices * c->plan.n_parts;
}

void completion_free(completion *c)
{
    if (c == NULL) return;
    for (size_t i = 0; c->decodings != NULL && i < n_decodings(c); i++) {
        decoding *d = &c->decodings[i];
        id_list_free(&d->prompt);
        text_stream_free(&d->text);
        rt_buf_free(&d->written);
        for (size_t j = 0; j < d->n_tokens; j++) free((void *)(uintptr_t)d->tokens[j].top);
        free(d->tokens);
    }
    free(c->decodings);
    free(c->begun);
    serve_request_free(&c->ask);
    free(c);
}

/* ---- prompts ---- */

static bool no_memory(api_error *why)
{
    return api_refuse(why, API_INTERNAL, NULL, "no memory for the request");
}

/* The text that a part of a choice reads. */
static bool prompt_text(const completion *c, size_t i_choice, student_task task, rt_buf *out,
                        api_error *why)
{
    if (task == TASK_COUNT)
        return rt_buf_add_text(out, c->ask.prompts[i_choice / c->ask.n], NULL) == RT_OK ||
               no_memory(why);
    return task_prompt(task, c->ask.last_user, out, NULL) == RT_OK || no_memory(why);
}

static bool encode(completion *c, size_t i, api_error *why)
{
    size_t seq_len_max = model_get_config(c->m->model)->seq_len_max;
    decoding *d = &c->decodings[i];
    rt_buf text = {0};
    rt_error err = {0};
    bool ok = false;
    d->at_start = true;
    d->text = (text_stream){.stops = (const char *const *)c->ask.stops, .n_stops = c->ask.n_stops};
    if (!prompt_text(c, i / c->plan.n_parts, c->plan.tasks[i % c->plan.n_parts], &text, why))
        goto out;
    rt_status st = served_model_encode(c->m, text.data, text.n, &d->prompt, &err);
    if (st != RT_OK) {
        api_refuse(why, st == RT_NOMEM ? API_INTERNAL : API_BAD_REQUEST,
                   c->ask.kind == SERVE_CHAT ? "messages" : "prompt", "%s", err.text);
        goto out;
    }
    if (d->prompt.n >= seq_len_max) {
        api_refuse(why, API_TOO_LONG, c->ask.kind == SERVE_CHAT ? "messages" : "prompt",
                   "the prompt has %zu tokens, at most %zu fit: the model reads %zu in all",
                   d->prompt.n, seq_len_max - 1, seq_len_max);
        goto out;
    }
    ok = true;
out:
    rt_buf_free(&text);
    return ok;
}

/* Choices of one prompt read the same; the prompt counts once for each of its parts. */
static bool encode_all(completion *c, api_error *why)
{
    for (size_t i = 0; i < n_decodings(c); i++) {
        if (!encode(c, i, why)) return false;
        if (i / c->plan.n_parts % c->ask.n == 0) c->n_prompt_tokens += c->decodings[i].prompt.n;
    }
    return true;
}

static bool check_model(const served_model *m, const serve_request *ask, api_error *why)
{
    if (ask->model != NULL && strcmp(ask->model, m->id) != 0)
        return api_refuse(why, API_NO_MODEL, "model", "model: found '%.100s', here is '%.100s'",
                          ask->model, m->id);
    if (ask->kind == SERVE_CHAT && m->is_student && ask->last_user == NULL)
        return api_refuse(why, API_BAD_REQUEST, "messages",
                          "messages: holds none of role user, whose content is the input");
    return true;
}

bool completion_new(const served_model *m, serve_request *ask, const char *id, int64_t now_s,
                    uint64_t seed, completion **out, api_error *why)
{
    answer_plan plan;
    if (!check_model(m, ask, why)) return false;
    if (!answer_plan_make(m->is_student ? &m->spec : NULL, ask, &plan, why)) return false;
    completion *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return no_memory(why);
    c->m = m;
    c->plan = plan;
    c->ask = *ask;
    c->seed = ask->has_seed ? ask->seed : seed;
    c->n_choices = ask->n_prompts * ask->n;
    c->head = (response_head){
        .kind = ask->kind, .model = m->id, .created_s = now_s, .include_usage = ask->include_usage};
    snprintf(c->head.id, sizeof c->head.id, "%s-%.48s",
             ask->kind == SERVE_CHAT ? "chatcmpl" : "cmpl", id);
    c->decodings = rt_calloc(n_decodings(c), sizeof *c->decodings);
    c->begun = rt_calloc(c->n_choices, sizeof *c->begun);
    bool ok = c->decodings != NULL && c->begun != NULL;
    if (!ok) no_memory(why);
    if (!ok || !encode_all(c, why)) {
        c->ask = (serve_request){0}; /* still the caller's */
        completion_free(c);
        return false;
    }
    *ask = (serve_request){0};
    *out = c;
    return true;
}

size_t completion_n_decodings(const completion *c)
{
    return n_decodings(c);
}

bool completion_is_stream(const completion *c)
{
    return c->ask.stream;
}

void completion_decoding(const completion *c, size_t i, decoding_request *out)
{
    const decoding *d = &c->decodings[i];
    size_t i_choice = i / c->plan.n_parts;
    float temperature = c->ask.temperature;
    if (!c->ask.has_temperature) temperature = c->m->is_student ? 0 : 1;
    *out = (decoding_request){
        .prompt = {.ids = d->prompt.ids,
                   .n_ids = d->prompt.n,
                   .record_id = rt_id_of(d->prompt.ids, d->prompt.n * sizeof *d->prompt.ids),
                   .sample = (uint32_t)(i_choice % c->ask.n)},
        .options = {.max_new_tokens = c->ask.max_tokens,
                    .temperature = temperature,
                    .top_k = c->ask.top_k,
                    .top_p = c->ask.top_p,
                    .seed = c->seed},
        .n_top = c->ask.logprobs ? c->ask.n_top : 0};
}

/* ---- tokens ---- */

static rt_status keep_token(decoding *d, const decoded_token *token, rt_error *err)
{
    if (d->n_tokens == d->n_tokens_room) {
        size_t room = d->n_tokens_room == 0 ? 32 : 2 * d->n_tokens_room;
        response_token *more = reallocarray(d->tokens, room, sizeof *more);
        if (more == NULL) return rt_fail(err, RT_NOMEM, "%zu tokens of an answer", room);
        d->tokens = more;
        d->n_tokens_room = room;
    }
    token_choice *top = NULL;
    if (token->n_top > 0) {
        top = rt_calloc(token->n_top, sizeof *top);
        if (top == NULL) return rt_fail(err, RT_NOMEM, "alternatives of a token");
        memcpy(top, token->top, token->n_top * sizeof *top);
    }
    d->tokens[d->n_tokens++] = (response_token){.id = token->id,
                                                .at_start = d->at_start,
                                                .logprob = token->logprob,
                                                .top = top,
                                                .n_top = token->n_top};
    return RT_OK;
}

static const char *finish_name(const decoding *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (d[i].truncated) return "length";
    return "stop";
}

/* A chunk with what is new of a direct choice. */
static rt_status send_text(completion *c, size_t i, rt_buf *out, rt_error *err)
{
    decoding *d = &c->decodings[i];
    rt_buf piece = {0};
    rt_status st = text_stream_take(&d->text, d->done, &piece, err);
    if (st != RT_OK || (piece.n == 0 && !d->done)) goto out;
    response_choice choice = {.index = i,
                              .content = piece.data,
                              .with_logprobs = c->ask.logprobs,
                              .tokens = d->tokens != NULL ? d->tokens + d->n_sent : NULL,
                              .n_tokens = d->n_tokens - d->n_sent,
                              .text_offset = d->text_offset};
    bool has_news = piece.n > 0 || choice.n_tokens > 0 || !c->begun[i];
    if (has_news) st = response_chunk(&c->head, c->m->tokens, &choice, !c->begun[i], out, err);
    if (st != RT_OK) goto out;
    c->begun[i] = true;
    for (; d->n_sent < d->n_tokens; d->n_sent++)
        d->text_offset += token_characters(c->m->tokens, &d->tokens[d->n_sent]);
    if (!d->done) goto out;
    choice = (response_choice){.index = i, .finish_reason = finish_name(d, 1)};
    st = response_chunk(&c->head, c->m->tokens, &choice, false, out, err);
out:
    rt_buf_free(&piece);
    return st;
}

/* ---- whole choices ---- */

/* What a choice of a plan with parts says, from texts that the caller frees. */
static rt_status read_choice(completion *c, size_t i_choice, answer_texts *texts,
                             response_token **tokens, response_choice *out, rt_error *err)
{
    size_t n_parts = c->plan.n_parts, n_tokens = 0;
    decoding *parts = &c->decodings[i_choice * n_parts];
    const char *written[ANSWER_PARTS_MAX] = {0};
    bool truncated[ANSWER_PARTS_MAX] = {0};
    rt_status st = RT_OK;
    for (size_t i = 0; i < n_parts; i++) {
        st = text_stream_take(&parts[i].text, true, &parts[i].written, err);
        if (st != RT_OK) return st;
        written[i] = parts[i].written.n > 0 ? parts[i].written.data : "";
        truncated[i] = parts[i].truncated;
        n_tokens += parts[i].n_tokens;
    }
    *out = (response_choice){.index = i_choice,
                             .finish_reason = finish_name(parts, n_parts),
                             .with_logprobs = c->ask.logprobs};
    if (c->ask.logprobs) {
        *tokens = rt_calloc(n_tokens, sizeof **tokens);
        if (*tokens == NULL) return rt_fail(err, RT_NOMEM, "tokens of an answer");
        for (size_t i = 0; i < n_parts; i++)
            for (size_t j = 0; j < parts[i].n_tokens; j++)
                (*tokens)[out->n_tokens++] = parts[i].tokens[j];
        out->tokens = *tokens;
    }
    if (c->plan.is_direct) {
        out->content = written[0];
        return RT_OK;
    }
    const char *input = c->ask.last_user;
    st = answer_texts_read(&c->m->spec, &c->plan, input, written, truncated, texts, err);
    out->content = texts->content;
    out->reasoning = texts->reasoning;
    out->problem = texts->problem;
    return st;
}

/* A choice whose parts had to be read first, in one chunk. */
static rt_status send_choice(completion *c, size_t i_choice, rt_buf *out, rt_error *err)
{
    answer_texts texts = {0};
    response_token *tokens = NULL;
    response_choice choice;
    rt_status st = read_choice(c, i_choice, &texts, &tokens, &choice, err);
    const char *finish = st == RT_OK ? choice.finish_reason : NULL;
    if (st == RT_OK) {
        choice.finish_reason = NULL;
        st = response_chunk(&c->head, c->m->tokens, &choice, true, out, err);
    }
    if (st == RT_OK) {
        choice = (response_choice){.index = i_choice, .finish_reason = finish};
        st = response_chunk(&c->head, c->m->tokens, &choice, false, out, err);
    }
    answer_texts_free(&texts);
    free(tokens);
    return st;
}

static bool choice_is_done(const completion *c, size_t i_choice)
{
    for (size_t i = 0; i < c->plan.n_parts; i++)
        if (!c->decodings[i_choice * c->plan.n_parts + i].done) return false;
    return true;
}

rt_status completion_take(completion *c, size_t i, const decoded_token *token, bool *ends,
                          rt_buf *out, rt_error *err)
{
    decoding *d = &c->decodings[i];
    rt_status st = RT_OK;
    RT_ASSERT(!d->done);
    if (c->ask.logprobs && (st = keep_token(d, token, err)) != RT_OK) return st;
    token_bytes b = token_table_get(c->m->tokens, token->id, &d->at_start);
    if ((st = text_stream_add(&d->text, b.bytes, b.n, err)) != RT_OK) return st;
    d->n_new++;
    d->done = token->ends || d->text.stopped;
    d->truncated = d->done && !d->text.stopped && token->finish == FINISH_LENGTH;
    c->n_done += d->done;
    *ends = d->done;
    if (!c->ask.stream) return RT_OK;
    if (c->plan.is_direct) return send_text(c, i, out, err);
    size_t i_choice = i / c->plan.n_parts;
    return choice_is_done(c, i_choice) ? send_choice(c, i_choice, out, err) : RT_OK;
}

bool completion_is_done(const completion *c)
{
    return c->n_done == n_decodings(c);
}

response_usage completion_usage(const completion *c)
{
    response_usage usage = {.n_prompt = c->n_prompt_tokens};
    for (size_t i = 0; i < n_decodings(c); i++) usage.n_completion += c->decodings[i].n_new;
    return usage;
}

static rt_status finish_whole(completion *c, rt_buf *out, rt_error *err)
{
    size_t n = c->n_choices;
    rt_status st = RT_OK;
    response_usage usage = completion_usage(c);
    response_choice *choices = rt_calloc(n, sizeof *choices);
    answer_texts *texts = rt_calloc(n, sizeof *texts);
    response_token **tokens = rt_calloc(n, sizeof *tokens);
    if (choices == NULL || texts == NULL || tokens == NULL)
        st = rt_fail(err, RT_NOMEM, "response of %zu choices", n);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = read_choice(c, i, &texts[i], &tokens[i], &choices[i], err);
    if (st == RT_OK) st = response_whole(&c->head, c->m->tokens, choices, n, &usage, out, err);
    for (size_t i = 0; texts != NULL && tokens != NULL && i < n; i++) {
        answer_texts_free(&texts[i]);
        free(tokens[i]);
    }
    free(choices);
    free(texts);
    free(tokens);
    return st;
}

rt_status completion_finish(completion *c, rt_buf *out, rt_error *err)
{
    RT_ASSERT(completion_is_done(c));
    if (!c->ask.stream) return finish_whole(c, out, err);
    response_usage usage = completion_usage(c);
    rt_status st = RT_OK;
    if (c->head.include_usage) st = response_usage_chunk(&c->head, &usage, out, err);
    return st == RT_OK ? sse_add_done(out, err) : st;
}
