#include "worker/teacher/openai/connect.h"

#include <string.h>
#include <strings.h>

#include "common/base/fs.h"

#define SCHEMA_BYTES_MAX ((size_t)1 << 20)
#define CA_BYTES_MAX     ((size_t)16 << 20)
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

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

static rt_status load_json(const teacher_config *c, json_t **schema, json_t **extra, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf file = {0};
    if (c->extra_body[0] != '\0')
        st = load_object("teacher.extra_body", c->extra_body, strlen(c->extra_body), extra, err);
    if (st != RT_OK || c->schema_file[0] == '\0') return st;
    st = rt_fs_read(c->schema_file, SCHEMA_BYTES_MAX, &file, err);
    if (st == RT_OK)
        st = load_object("teacher.schema_file", file.data != NULL ? file.data : "", file.n, schema,
                         err);
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

rt_status openai_shape_load(const config *c, openai_shape *out, json_t **schema, json_t **extra,
                            rt_error *err)
{
    const teacher_config *k = &c->teacher;
    rt_status st = load_json(k, schema, extra, err);
    if (st != RT_OK) return st;
    *out = (openai_shape){
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
        .schema = *schema,
        .extra = *extra,
        .think_text = k->think_text,
        .extract_text = k->extract_text,
    };
    return RT_OK;
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

rt_status openai_connect(const config *c, size_t transfers_max, rt_buf *key, http_client **out,
                         rt_error *err)
{
    const teacher_config *k = &c->teacher;
    rt_buf login = {0}, header = {0};
    const char *headers[2] = {"Content-Type: application/json"};
    http_settings settings = {
        .transfers_max = transfers_max,
        .headers = headers,
        .n_headers = 1,
        .connect_timeout_ms = k->connect_timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .proxy = k->proxy,
        .ca_file = k->ca_file,
        .no_verify = !k->tls_verify,
    };
    rt_status st = check_ca_file(k->ca_file, err);
    if (st == RT_OK) st = config_secret("teacher.api_key", k->api_key, key, err);
    if (st == RT_OK) st = config_secret("teacher.proxy_login", k->proxy_login, &login, err);
    if (st == RT_OK && key->n > 0) {
        bool bearer = strcasecmp(k->api_key_header, "Authorization") == 0;
        st = rt_buf_printf(&header, err, "%s: %s%s", k->api_key_header, bearer ? "Bearer " : "",
                           key->data);
        headers[settings.n_headers++] = header.data;
    }
    if (st == RT_OK) {
        settings.proxy_login = login.n > 0 ? login.data : "";
        st = http_client_new(&settings, out, err);
    }
    if (login.data != NULL) explicit_bzero(login.data, login.n);
    if (header.data != NULL) explicit_bzero(header.data, header.n);
    rt_buf_free(&login);
    rt_buf_free(&header);
    return st;
}

bool openai_is_in_the_clear(const char *url)
{
    static const char *const here[] = {"https://", "http://127.", "http://localhost",
                                       "http://[::1]"};
    for (size_t i = 0; i < RT_COUNT(here); i++)
        if (strncmp(url, here[i], strlen(here[i])) == 0) return false;
    return true;
}

void openai_hide(const rt_buf *key, char *text)
{
    if (key->n == 0) return;
    for (char *at = text; (at = strstr(at, key->data)) != NULL;) memset(at, '*', key->n);
}
