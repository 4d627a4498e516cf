/* A native teacher: a model folder in Hugging Face's layout, decoded by our own library.
 *
 * The requests of one call are decoded as one fixed unit, in their order, so that the same shard
 * gives the same bits whoever decodes it and however often. Which requests are left out (prompt
 * beyond the budget) depends on the prompts alone.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ckpt/hf_model.h"
#include "common/nn/generate.h"
#include "common/text/tokenizer.h"
#include "worker/runtime/model_tokenizer.h"
#include "worker/teacher/backend.h"
#include "worker/teacher/native_top.h"

typedef struct native_backend {
    model *model;
    tokenizer *tokenizer;
    token_table *table; /* NULL: probabilities of tokens are not kept */
    uint64_t max_new_tokens;
    size_t max_prompt_tokens;
    size_t n_top; /* alternatives of a token that are kept */
    backend_means means;
} native_backend;

static void close_native(void *context)
{
    native_backend *self = context;
    if (self == NULL) return;
    model_free(self->model);
    token_table_free(self->table);
    tokenizer_free(self->tokenizer);
    free(self);
}

/* Prompts of one call that fit: their ids and which requests they are. */
typedef struct prompt_batch {
    generate_prompt *prompts; /* [n] */
    id_list *ids;             /* [n], what prompts point into */
    size_t *i_request;        /* [n] */
    generated *outputs;       /* [n] once generated */
    size_t n;
} prompt_batch;

static void prompt_batch_free(prompt_batch *b)
{
    for (size_t i = 0; i < b->n; i++) id_list_free(&b->ids[i]);
    if (b->outputs != NULL) generated_free(b->outputs, b->n);
    free(b->outputs);
    free(b->prompts);
    free(b->ids);
    free(b->i_request);
    memset(b, 0, sizeof *b);
}

static rt_status encode_prompt(const native_backend *self, const char *prompt, size_t n,
                               id_list *out, rt_error *err)
{
    const model_config *c = model_get_config(self->model);
    return tokenizer_encode_prompt(self->tokenizer, prompt, n, model_config_has_encoder(c),
                                   model_config_prompt_id(c), out, err);
}

static rt_status encode_requests(const native_backend *self, const backend_request *requests,
                                 size_t n, prompt_batch *b, backend_answer *answers, rt_error *err)
{
    b->prompts = rt_calloc(n, sizeof *b->prompts);
    b->ids = rt_calloc(n, sizeof *b->ids);
    b->i_request = rt_calloc(n, sizeof *b->i_request);
    b->outputs = rt_calloc(n, sizeof *b->outputs);
    if (b->prompts == NULL || b->ids == NULL || b->i_request == NULL || b->outputs == NULL)
        return rt_fail(err, RT_NOMEM, "prompts of %zu requests", n);
    for (size_t i = 0; i < n; i++) {
        id_list ids = {0};
        rt_status st = encode_prompt(self, requests[i].prompt, requests[i].n_prompt, &ids, err);
        if (st != RT_OK) {
            id_list_free(&ids);
            return st;
        }
        answers[i].n_prompt_tokens = ids.n;
        if (ids.n > self->max_prompt_tokens) {
            answers[i].reason = REASON_PROMPT_TOO_LONG;
            id_list_free(&ids);
            continue;
        }
        b->ids[b->n] = ids;
        b->i_request[b->n] = i;
        b->prompts[b->n] = (generate_prompt){.ids = ids.ids,
                                             .n_ids = ids.n,
                                             .record_id = requests[i].record_id,
                                             .sample = requests[i].sample};
        b->n++;
    }
    return RT_OK;
}

static rt_status fill_answer(const native_backend *self, const generated *g, backend_answer *out,
                             rt_error *err)
{
    rt_buf text = {0};
    rt_status st = tokenizer_decode_output(self->tokenizer, g->ids, g->n_ids, &text, err);
    if (st == RT_OK) st = rt_buf_add_text(&text, "", err);
    if (st != RT_OK) {
        rt_buf_free(&text);
        return st;
    }
    out->text = text.data;
    out->n_text = text.n;
    out->truncated = g->finish == FINISH_LENGTH;
    out->finish_reason = out->truncated ? "length" : "stop";
    out->n_completion_tokens = g->n_ids;
    out->has_logprob = true;
    out->sum_logprob = g->sum_logprob;
    return RT_OK;
}

static rt_status fill_topk(const native_backend *self, const generated *g, size_t *n_bytes,
                           backend_answer *out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = native_top_text(self->table, g, &text, err);
    if (st == RT_OK && text.n > TOPK_CALL_BYTES_MAX - *n_bytes) {
        if (self->means.count != NULL) self->means.count(self->means.context, "topk_left_out", 1);
    } else if (st == RT_OK && text.n > 0) {
        *n_bytes += text.n;
        out->topk = text.data;
        text = (rt_buf){0};
    }
    rt_buf_free(&text);
    return st;
}

static void use_native(void *context, const backend_means *means)
{
    ((native_backend *)context)->means = *means;
}

static rt_status complete_native(void *context, const backend_request *requests, size_t n,
                                 const backend_sampling *sampling, backend_answer *answers,
                                 rt_error *err)
{
    native_backend *self = context;
    rt_status st = RT_OK;
    prompt_batch b = {0};
    size_t n_topk_bytes = 0;
    generate_options options = {.max_new_tokens = self->max_new_tokens,
                                .temperature = (float)sampling->temperature,
                                .top_k = sampling->top_k,
                                .top_p = (float)sampling->top_p,
                                .seed = sampling->seed,
                                .n_top = self->n_top};
    backend_answer *fresh = rt_calloc(n, sizeof *fresh);
    if (fresh == NULL) return rt_fail(err, RT_NOMEM, "answers of %zu requests", n);
    if ((st = encode_requests(self, requests, n, &b, fresh, err)) != RT_OK) goto out;
    if (b.n > 0) {
        st = generate(self->model, b.prompts, b.n, &options, b.outputs, err);
        if (st != RT_OK) goto out;
    }
    for (size_t i = 0; i < b.n; i++) {
        backend_answer *a = &fresh[b.i_request[i]];
        st = fill_answer(self, &b.outputs[i], a, err);
        if (st == RT_OK && self->n_top > 0)
            st = fill_topk(self, &b.outputs[i], &n_topk_bytes, a, err);
        if (st != RT_OK) goto out;
    }
    memcpy(answers, fresh, n * sizeof *answers);
    n = 0;
out:
    backend_answers_free(fresh, n);
    free(fresh);
    prompt_batch_free(&b);
    return st;
}

/* One sequence: prompt, then the text as the target. */
static rt_status score_one(native_backend *self, const backend_request *request, const char *text,
                           double *out, rt_error *err)
{
    rt_status st = RT_OK;
    id_list ids = {0};
    if ((st = encode_prompt(self, request->prompt, request->n_prompt, &ids, err)) != RT_OK)
        goto out;
    size_t n_prompt = ids.n;
    if ((st = tokenizer_encode(self->tokenizer, text, strlen(text), &ids, err)) != RT_OK) goto out;
    if (n_prompt > self->max_prompt_tokens || ids.n == n_prompt ||
        ids.n > model_get_config(self->model)->seq_len_max) {
        *out = NAN;
        goto out;
    }
    packed_seq seq = {
        .first = 0, .n_prompt = n_prompt, .n_target = ids.n - n_prompt, .weight = 1.0f};
    packed_batch batch = {.ids = ids.ids, .n_tokens = ids.n, .seqs = &seq, .n_seqs = 1};
    st = model_score(self->model, &batch, out, err);
out:
    id_list_free(&ids);
    return st;
}

static rt_status score_native(void *context, const backend_request *requests,
                              const char *const *texts, size_t n, double *out, rt_error *err)
{
    rt_status st = RT_OK;
    double *fresh = rt_calloc(n, sizeof *fresh);
    if (fresh == NULL) return rt_fail(err, RT_NOMEM, "scores of %zu texts", n);
    for (size_t i = 0; i < n && st == RT_OK; i++)
        st = score_one(context, &requests[i], texts[i], &fresh[i], err);
    if (st == RT_OK) memcpy(out, fresh, n * sizeof *out);
    free(fresh);
    return st;
}

static const backend_ops native_ops = {
    .name = "native",
    .flags = BACKEND_CAN_GENERATE | BACKEND_CAN_SCORE | BACKEND_CAN_LOGPROBS | BACKEND_FIXED_UNIT,
    .complete = complete_native,
    .score = score_native,
    .close = close_native,
    .use = use_native,
};

size_t native_prompt_tokens_max(const config *c, size_t seq_len_max)
{
    size_t most = seq_len_max > 0 ? seq_len_max - 1 : 0;
    if (c->prompt.max_prompt_tokens > 0) return RT_MIN(c->prompt.max_prompt_tokens, most);
    return c->teacher.max_new_tokens < seq_len_max ? seq_len_max - c->teacher.max_new_tokens : most;
}

rt_status backend_open_native(const config *c, backend **out, rt_error *err)
{
    rt_status st = RT_OK;
    native_backend *self = rt_calloc(1, sizeof *self);
    if (self == NULL) return rt_fail(err, RT_NOMEM, "native teacher");
    if (c->teacher.model[0] == '\0') {
        st = rt_fail(err, RT_INVALID, "teacher.model: is empty, expected the folder of a model");
        goto out;
    }
    nn_set_threads(c->threads);
    if ((st = model_tokenizer_load(c->teacher.model, &self->tokenizer, err)) != RT_OK) goto wrap;
    if ((st = hf_model_load(c->teacher.model, &self->model, err)) != RT_OK) goto wrap;
    model_decode_in_halves(self->model, c->teacher.dtype == DECODE_BF16);
    const model_config *shape = model_get_config(self->model);
    if (tokenizer_size(self->tokenizer) > shape->n_vocab) {
        st = rt_fail(err, RT_CORRUPT, "the tokenizer has %zu pieces, the model only %zu rows",
                     tokenizer_size(self->tokenizer), shape->n_vocab);
        goto wrap;
    }
    self->n_top = (size_t)c->teacher.top_logprobs;
    if (self->n_top > 0) st = token_table_new(self->tokenizer, &self->table, err);
    if (st != RT_OK) goto wrap;
    self->max_new_tokens = c->teacher.max_new_tokens;
    self->max_prompt_tokens = native_prompt_tokens_max(c, shape->seq_len_max);
    rt_log_info("teacher.native", "model=%s prompt_tokens_max=%zu new_tokens_max=%zu",
                c->teacher.model, self->max_prompt_tokens, (size_t)self->max_new_tokens);
    if ((st = backend_new(&native_ops, self, out, err)) != RT_OK) goto out;
    self = NULL;
    goto out;
wrap:
    st = rt_wrap(err, st, "teacher.model");
out:
    close_native(self);
    return st;
}
