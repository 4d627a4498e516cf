#include "worker/teacher/batch/batch_backend.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "worker/teacher/openai/asking.h"

typedef struct batch_backend {
    batch_labeller *owner;
    const batch_handler *handler;
    openai_teacher *teacher;
    config config; /* a copy that shares the run's texts */
} batch_backend;

static batch_ticket ticket_of(const backend_request *r, const rt_buf *body)
{
    return (batch_ticket){.record_id = r->record_id,
                          .sample = r->sample,
                          .key_high = rt_id_of(body->data, body->n).high};
}

static rt_status take_reply(batch_backend *self, asking *w, ask *a, const rt_buf *bytes,
                            rt_error *err)
{
    openai_reply reply = {0};
    rt_error why = {0};
    size_t n_used = 0;
    rt_status st = openai_reply_read(bytes->data, bytes->n, &reply, &why);
    if (st == RT_OK)
        st = ask_take_reply(w, a, &reply, &n_used, err);
    else if (st == RT_CORRUPT || st == RT_REFUSED)
        rt_log_warn("batch.unusable", "%s", why.text);
    else
        return rt_fail(err, st, "%s", why.text);
    openai_reply_free(&reply);
    if (n_used > 0)
        self->owner->n_taken++;
    else
        self->owner->n_unusable++;
    return st == RT_CORRUPT || st == RT_REFUSED ? RT_OK : st;
}

static rt_status ask_handler(batch_backend *self, asking *w, ask *a, rt_error *err)
{
    rt_buf reply = {0};
    rt_status st = ask_body(w, a, err);
    if (st != RT_OK) return st;
    batch_ticket ticket = ticket_of(&w->requests[w->order[a->first]], &w->body);
    st = self->handler->missing(self->handler->context, &ticket, w->body.data, w->body.n, &reply,
                                err);
    if (st == RT_OK && reply.n > 0) st = take_reply(self, w, a, &reply, err);
    rt_buf_free(&reply);
    return st;
}

/* The question, and behind a thought the second one. */
static rt_status handle_missing(batch_backend *self, asking *w, ask *a, rt_error *err)
{
    openai_stage stage = a->stage;
    rt_status st = ask_handler(self, w, a, err);
    if (st == RT_OK && a->n > 0 && a->stage != stage) st = ask_handler(self, w, a, err);
    if (st == RT_OK && a->n > 0) ask_give_up(w, a, REASON_BATCH_PENDING);
    return st;
}

static rt_status tell_known(batch_backend *self, asking *w, const ask *a, bool is_last,
                            rt_error *err)
{
    if (self->handler->known == NULL) return RT_OK;
    rt_status st = ask_body(w, a, err);
    if (st != RT_OK) return st;
    batch_ticket ticket = ticket_of(&w->requests[w->order[a->first]], &w->body);
    return self->handler->known(self->handler->context, &ticket, is_last, err);
}

/* A thought that the cache has, while its answer is still to be asked for. */
static rt_status tell_known_thought(batch_backend *self, asking *w, const ask *a, rt_error *err)
{
    ask first = {.first = a->first, .n = 1, .stage = OPENAI_THINK};
    return a->stage == OPENAI_EXTRACT ? tell_known(self, w, &first, false, err) : RT_OK;
}

/* Request i, which the cache could answer: one question, or both of two steps. A thought that is
 * none, because it was cut or refused, has no second one. */
static rt_status tell_known_answer(batch_backend *self, asking *w, size_t i, rt_error *err)
{
    const backend_answer *answer = &w->answers[i];
    bool two_step = self->config.teacher.two_step;
    bool has_thought = two_step && answer->reasoning != NULL && answer->rationale_source != NULL &&
                       strcmp(answer->rationale_source, "two_step") == 0;
    ask a = {.first = w->n - 1, .n = 1, .stage = two_step ? OPENAI_THINK : OPENAI_ANSWER};
    w->order[a.first] = i;
    rt_status st = tell_known(self, w, &a, !has_thought, err);
    if (st != RT_OK || !has_thought) return st;
    a.stage = OPENAI_EXTRACT;
    st = rt_buf_add_text(&a.thought, answer->reasoning, err);
    if (st == RT_OK) st = tell_known(self, w, &a, true, err);
    rt_buf_free(&a.thought);
    return st;
}

/* Tell of the requests that the cache could answer. They are in no ask; w->order has room for one,
 * for there are fewer asks than requests. */
static rt_status handle_known(batch_backend *self, asking *w, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < w->n; i++)
        if (w->answers[i].cached) st = tell_known_answer(self, w, i, err);
    return st;
}

static rt_status complete_batch(void *context, const backend_request *requests, size_t n,
                                const backend_sampling *sampling, backend_answer *answers,
                                rt_error *err)
{
    batch_backend *self = context;
    asking w = {.t = self->teacher, .requests = requests, .n = n, .sampling = sampling};
    w.answers = rt_calloc(n, sizeof *w.answers);
    if (w.answers == NULL) return rt_fail(err, RT_NOMEM, "answers of %zu requests", n);
    rt_status st = asks_make(&w, err);
    for (size_t i = 0; st == RT_OK && i < w.n_asks; i++) {
        st = tell_known_thought(self, &w, &w.asks[i], err);
        if (st == RT_OK) st = handle_missing(self, &w, &w.asks[i], err);
    }
    if (st == RT_OK && w.n_asks < n) {
        /* What was just taken is in the cache too, but was not known before. */
        st = handle_known(self, &w, err);
    }
    asks_free(&w);
    if (st == RT_OK)
        memcpy(answers, w.answers, n * sizeof *answers);
    else
        backend_answers_free(w.answers, n);
    free(w.answers);
    return st;
}

static void close_batch(void *context)
{
    free(context);
}

static const backend_ops batch_ops = {
    .name = "openai",
    .flags = BACKEND_CAN_GENERATE,
    .complete = complete_batch,
    .close = close_batch,
};

static rt_status check_config(const config *c, rt_error *err)
{
    if (c->teacher.backend != TEACHER_OPENAI)
        return rt_fail(err, RT_UNSUPPORTED,
                       "teacher.backend: batch files are for openai, no other teacher needs them");
    return RT_OK;
}

/* The texts stay the run's; only what must differ is replaced. */
static void copy_config(const config *c, config *out)
{
    static char none[] = "";
    *out = *c;
    out->teacher.api_key = none; /* nobody is asked: no key is needed */
    out->teacher.proxy_login = none;
    out->escalate.config = none;  /* the second teacher is asked by the run, about what is left */
    out->quality.scorer = none;   /* what is asked does not depend on it */
    out->teacher.choices_max = 1; /* a line for each sample: what is missing can come alone */
}

rt_status batch_labeller_open(const config *c, answer_cache *cache, const batch_handler *handler,
                              batch_labeller *out, rt_error *err)
{
    rt_status st = check_config(c, err);
    if (st != RT_OK) return st;
    *out = (batch_labeller){0};
    batch_backend *self = rt_calloc(1, sizeof *self);
    if (self == NULL) return rt_fail(err, RT_NOMEM, "batch teacher");
    self->owner = out;
    self->handler = handler;
    copy_config(c, &self->config);
    if ((st = labeller_open(&self->config, &out->labeller, err)) != RT_OK) goto out;
    labeller_use(&out->labeller, &(backend_means){.cache = cache});
    out->openai = out->labeller.backend;
    self->teacher = out->openai->self;
    out->labeller.backend = NULL;
    if ((st = backend_new(&batch_ops, self, &out->labeller.backend, err)) != RT_OK) goto out;
    self = NULL;
out:
    if (st != RT_OK) {
        batch_labeller_close(out);
        free(self);
    }
    return st;
}

void batch_labeller_close(batch_labeller *l)
{
    if (l == NULL) return;
    backend_close(l->openai);
    labeller_close(&l->labeller);
    *l = (batch_labeller){0};
}

const char *batch_url(const config *c)
{
    return c->teacher.api == API_CHAT ? "/v1/chat/completions" : "/v1/completions";
}
