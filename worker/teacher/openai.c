/* A teacher behind a server that speaks the OpenAI interface: its settings, opened.
 *
 * How a shard is asked is in openai/asking.h; what is asked and answered in openai/request.h and
 * openai/response.h. Nothing is asked at start: the first shard shows whether the server is there.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "worker/teacher/openai/asking.h"
#include "worker/teacher/openai/connect.h"

static void close_openai(void *context)
{
    openai_teacher *t = context;
    if (t == NULL) return;
    http_client_free(t->http);
    json_decref(t->schema);
    json_decref(t->extra);
    rt_buf_free(&t->url);
    rt_buf_free(&t->kind);
    if (t->key.data != NULL) explicit_bzero(t->key.data, t->key.n);
    rt_buf_free(&t->key);
    free(t);
}

static void use_means(void *context, const backend_means *means)
{
    ((openai_teacher *)context)->means = *means;
}

static rt_status complete_openai(void *context, const backend_request *requests, size_t n,
                                 const backend_sampling *sampling, backend_answer *answers,
                                 rt_error *err)
{
    backend_answer *fresh = rt_calloc(n, sizeof *fresh);
    if (fresh == NULL) return rt_fail(err, RT_NOMEM, "answers of %zu requests", n);
    rt_status st = asking_run(context, requests, n, sampling, fresh, err);
    if (st == RT_OK)
        memcpy(answers, fresh, n * sizeof *answers);
    else
        backend_answers_free(fresh, n);
    free(fresh);
    return st;
}

static const backend_ops plain_ops = {
    .name = "openai",
    .flags = BACKEND_CAN_GENERATE | BACKEND_ASKS_SERVER,
    .complete = complete_openai,
    .close = close_openai,
    .use = use_means,
};
static const backend_ops logprob_ops = {
    .name = "openai",
    .flags = BACKEND_CAN_GENERATE | BACKEND_CAN_LOGPROBS | BACKEND_ASKS_SERVER,
    .complete = complete_openai,
    .close = close_openai,
    .use = use_means,
};

static json_answer_rules json_rules_of(const config *c)
{
    return (json_answer_rules){.label_key = c->teacher.label_key,
                               .rationale_key = c->teacher.rationale_key,
                               .label_format = c->task.label_format,
                               .marker = c->task.markers.n > 0 ? c->task.markers.items[0] : ""};
}

/* What shapes an answer without standing in the first request's body. */
static rt_status make_kind(openai_teacher *t, rt_error *err)
{
    const teacher_config *k = &t->config->teacher;
    rt_status st = rt_buf_add_text(&t->kind, t->shape.chat ? "chat" : "completions", err);
    if (st == RT_OK && k->two_step)
        st = rt_buf_printf(&t->kind, err, "\ntwo steps %s\n%s", k->extract_text, t->json.marker);
    if (st != RT_OK || t->schema == NULL) return st;
    char *schema = json_dumps(t->schema, JSON_COMPACT);
    if (schema == NULL) return rt_fail(err, RT_NOMEM, "teacher.schema_file");
    st = rt_buf_printf(&t->kind, err, "\njson %s\n%s\n%s\n%s\n%s", k->label_key, k->rationale_key,
                       t->json.label_format, t->json.marker, schema);
    free(schema);
    return st;
}

rt_status backend_open_openai(const config *c, backend **out, rt_error *err)
{
    rt_status st = RT_OK;
    openai_teacher *t = rt_calloc(1, sizeof *t);
    if (t == NULL) return rt_fail(err, RT_NOMEM, "openai teacher");
    t->config = c;
    t->prices = price_table_of(c);
    t->window = concurrency_new((size_t)c->teacher.in_flight_max);
    t->breaker = breaker_new(c->teacher.breaker_failures);
    st = openai_shape_load(c, &t->shape, &t->schema, &t->extra, err);
    if (st != RT_OK) goto out;
    t->json = json_rules_of(c);
    if ((st = make_kind(t, err)) != RT_OK) goto out;
    st = openai_request_url(c->teacher.base_url, t->shape.chat, &t->url, err);
    if (st != RT_OK) goto out;
    st = openai_connect(c, (size_t)c->teacher.in_flight_max, &t->key, &t->http, err);
    if (st != RT_OK) goto out;
    rt_log_info("teacher.openai", "url=%s model=%s in_flight_max=%zu key=%s", t->url.data,
                c->teacher.model, (size_t)c->teacher.in_flight_max, t->key.n > 0 ? "yes" : "no");
    if (t->key.n > 0 && openai_is_in_the_clear(t->url.data))
        rt_log_warn("teacher.key_in_the_clear",
                    "why=\"teacher.base_url is not https: whoever is between can read the key\"");
    if (!c->teacher.tls_verify)
        rt_log_warn("teacher.tls_not_verified",
                    "why=\"teacher.tls_verify is false: whoever is between can be the server\"");
    st = backend_new(c->teacher.logprobs ? &logprob_ops : &plain_ops, t, out, err);
    if (st == RT_OK) t = NULL;
out:
    close_openai(t);
    return st;
}
