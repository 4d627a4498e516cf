/* A teacher behind a server that speaks the OpenAI interface: its settings, opened.
 *
 * How a shard is asked is in openai/asking.h; what is asked and answered in openai/request.h and
 * openai/response.h. Nothing is asked at start: the first shard shows whether the server is there.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "worker/teacher/openai/asking.h"

#define SCHEMA_BYTES_MAX ((size_t)1 << 20)
#define CA_BYTES_MAX     ((size_t)16 << 20)
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

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
    .flags = BACKEND_CAN_GENERATE,
    .complete = complete_openai,
    .close = close_openai,
    .use = use_means,
};
static const backend_ops logprob_ops = {
    .name = "openai",
    .flags = BACKEND_CAN_GENERATE | BACKEND_CAN_LOGPROBS,
    .complete = complete_openai,
    .close = close_openai,
    .use = use_means,
};

static rt_status load_object(const char *setting, const char *text, size_t n, json_t **out,
                             rt_error *err)
{
    json_error_t problem = {0};
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (json_is_object(value)) {
        *out = value;
        return RT_OK;
    }
    json_decref(value);
    return rt_fail(err, RT_INVALID, "%s: line %d: %s, expected a JSON object", setting,
                   problem.line, value == NULL ? problem.text : "another value");
}

static rt_status load_json(openai_teacher *t, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf file = {0};
    const teacher_config *c = &t->config->teacher;
    if (c->extra_body[0] != '\0')
        st =
            load_object("teacher.extra_body", c->extra_body, strlen(c->extra_body), &t->extra, err);
    if (st != RT_OK || c->schema_file[0] == '\0') return st;
    st = rt_fs_read(c->schema_file, SCHEMA_BYTES_MAX, &file, err);
    if (st == RT_OK)
        st = load_object("teacher.schema_file", file.data != NULL ? file.data : "", file.n,
                         &t->schema, err);
    else
        st = rt_wrap(err, st, "teacher.schema_file");
    rt_buf_free(&file);
    return st;
}

static const char *role_of(const config *c)
{
    switch (c->teacher.instruction_role) {
    case INSTRUCTION_SYSTEM: return "system";
    case INSTRUCTION_DEVELOPER: return "developer";
    case INSTRUCTION_USER: return "user";
    case INSTRUCTION_AUTO: break;
    }
    return c->prompt.kind == PROMPT_REASONING ? "developer" : "system";
}

static void make_shape(openai_teacher *t)
{
    const config *c = t->config;
    const teacher_config *k = &c->teacher;
    t->shape = (openai_shape){
        .chat = k->api == API_CHAT,
        .model = k->model,
        .instruction = c->prompt.instruction,
        .separator = c->prompt.separator,
        .instruction_role = role_of(c),
        .max_tokens_field =
            k->max_tokens_field == MAX_TOKENS ? "max_tokens" : "max_completion_tokens",
        .max_tokens = k->max_new_tokens,
        .stop = (const char *const *)k->stop.items,
        .n_stop = k->stop.n,
        .logprobs = k->logprobs,
        .top_logprobs = k->top_logprobs,
        .schema = t->schema,
        .extra = t->extra,
        .think_text = k->think_text,
        .extract_text = k->extract_text,
    };
    t->json = (json_answer_rules){.label_key = k->label_key,
                                  .rationale_key = k->rationale_key,
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

/* Said at start: later it would look as if the server's certificate were at fault. */
static rt_status check_ca_file(const char *path, rt_error *err)
{
    rt_buf file = {0};
    if (path[0] == '\0') return RT_OK;
    rt_status st = rt_fs_read(path, CA_BYTES_MAX, &file, err);
    if (st != RT_OK)
        st = rt_wrap(err, st, "teacher.ca_file");
    else if (file.n == 0 || strstr(file.data, "-----BEGIN ") == NULL)
        st = rt_fail(err, RT_INVALID,
                     "teacher.ca_file: %s holds no certificate, expected PEM: -----BEGIN "
                     "CERTIFICATE----- and so on",
                     path);
    rt_buf_free(&file);
    return st;
}

static rt_status make_http(openai_teacher *t, rt_error *err)
{
    const teacher_config *k = &t->config->teacher;
    rt_buf login = {0}, header = {0};
    const char *headers[2] = {"Content-Type: application/json"};
    http_settings settings = {
        .transfers_max = (size_t)k->in_flight_max,
        .headers = headers,
        .n_headers = 1,
        .connect_timeout_ms = k->connect_timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .proxy = k->proxy,
        .ca_file = k->ca_file,
        .no_verify = !k->tls_verify,
    };
    rt_status st = check_ca_file(k->ca_file, err);
    if (st == RT_OK) st = config_secret("teacher.api_key", k->api_key, &t->key, err);
    if (st == RT_OK) st = config_secret("teacher.proxy_login", k->proxy_login, &login, err);
    if (st == RT_OK && t->key.n > 0) {
        bool bearer = strcasecmp(k->api_key_header, "Authorization") == 0;
        st = rt_buf_printf(&header, err, "%s: %s%s", k->api_key_header, bearer ? "Bearer " : "",
                           t->key.data);
        headers[settings.n_headers++] = header.data;
    }
    if (st == RT_OK) {
        settings.proxy_login = login.n > 0 ? login.data : "";
        st = http_client_new(&settings, &t->http, err);
    }
    if (login.data != NULL) explicit_bzero(login.data, login.n);
    if (header.data != NULL) explicit_bzero(header.data, header.n);
    rt_buf_free(&login);
    rt_buf_free(&header);
    return st;
}

static bool is_in_the_clear(const char *url)
{
    static const char *const here[] = {"https://", "http://127.", "http://localhost",
                                       "http://[::1]"};
    for (size_t i = 0; i < RT_COUNT(here); i++)
        if (strncmp(url, here[i], strlen(here[i])) == 0) return false;
    return true;
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
    if ((st = load_json(t, err)) != RT_OK) goto out;
    make_shape(t);
    if ((st = make_kind(t, err)) != RT_OK) goto out;
    st = openai_request_url(c->teacher.base_url, t->shape.chat, &t->url, err);
    if (st != RT_OK) goto out;
    if ((st = make_http(t, err)) != RT_OK) goto out;
    rt_log_info("teacher.openai", "url=%s model=%s in_flight_max=%zu key=%s", t->url.data,
                c->teacher.model, (size_t)c->teacher.in_flight_max, t->key.n > 0 ? "yes" : "no");
    if (t->key.n > 0 && is_in_the_clear(t->url.data))
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
