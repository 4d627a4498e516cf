/* A teacher behind a server: is it there, does it take the key, does it have the model? Only its
 * list of models is asked for, which costs nothing. */
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/server_reply.h"
#include "common/base/clock.h"
#include "common/base/stop.h"
#include "worker/teacher/openai/connect.h"

#define TURN_MS     50
#define LIST_MS_MAX 15000 /* for the list, once connected */

rt_status doctor_fetch(http_client *http, const http_request *request, http_response *out,
                       uint64_t *took_ms, rt_error *err)
{
    http_ticket ticket;
    uint64_t began_ms = rt_clock_mono_ms();
    rt_status st = http_client_submit(http, request, &ticket, err);
    if (st != RT_OK) return st;
    while (!http_client_take(http, out)) {
        if (rt_stop_requested() != RT_STOP_NONE) {
            (void)http_client_cancel(http, ticket, NULL);
            return rt_fail(err, RT_CANCELLED, "stopped on request");
        }
        if ((st = http_client_turn(http, TURN_MS, err)) != RT_OK) return st;
    }
    *took_ms = rt_clock_mono_ms() - began_ms;
    return RT_OK;
}

/* GET <base_url><route>. */
static rt_status get(const doctor_teacher *t, http_client *http, const char *base_url,
                     const char *route, http_response *out, uint64_t *took_ms, rt_error *err)
{
    rt_buf url = {0};
    rt_status st = openai_route_url(base_url, route, &url, err);
    if (st == RT_OK) {
        http_request request = {.url = url.data,
                                .timeout_ms = t->config->teacher.connect_timeout_ms + LIST_MS_MAX};
        st = doctor_fetch(http, &request, out, took_ms, err);
    }
    rt_buf_free(&url);
    return st;
}

/* The interface may be elsewhere on the same server: one of `urls` that has a list, or NULL. */
static const char *find_better(const doctor_teacher *t, http_client *http,
                               char urls[BASE_URLS_MAX][BASE_URL_BYTES])
{
    const char *found = NULL;
    size_t n = base_url_candidates(t->config->teacher.base_url, urls);
    for (size_t i = 0; i < n && found == NULL; i++) {
        http_response response = {0};
        uint64_t took_ms;
        if (get(t, http, urls[i], "/models", &response, &took_ms, NULL) == RT_OK &&
            response.failure == HTTP_OK && response.status == 200 && response.body.n > 0 &&
            models_list_read(response.body.data, response.body.n, "").is_list)
            found = urls[i];
        http_response_free(&response);
    }
    return found;
}

static long route_status(const doctor_teacher *t, http_client *http)
{
    http_response response = {0};
    uint64_t took_ms;
    bool chat = t->config->teacher.api == API_CHAT;
    long status = 0;
    if (get(t, http, t->config->teacher.base_url, chat ? "/chat/completions" : "/completions",
            &response, &took_ms, NULL) == RT_OK &&
        response.failure == HTTP_OK)
        status = response.status;
    http_response_free(&response);
    return status;
}

static void hide_in(finding *f, const rt_buf *key)
{
    openai_hide(key, f->found);
    openai_hide(key, f->expected);
    openai_hide(key, f->fix);
}

/* Context that the server tells bounds the prompts, unless the settings do. */
static void take_context(doctor_teacher *t, const server_reply *r)
{
    models_list list = models_list_read(r->body, r->n_body, r->model);
    uint64_t n_new = t->config->teacher.max_new_tokens;
    if (r->status != 200 || list.context == 0 || t->prompt_tokens_max > 0) return;
    t->prompt_tokens_max = list.context > n_new ? list.context - n_new : 1;
    t->prompt_limit = "what the server's model takes, less teacher.max_new_tokens";
}

/* True when it is worth asking for more. */
static bool judge(doctor_teacher *t, const server_reply *r, const rt_buf *key)
{
    static const struct {
        const char *what;
        finding (*verdict)(const server_reply *);
    } steps[] = {{"server", server_verdict}, {"key", key_verdict}, {"model", model_verdict}};
    bool good = true;
    for (size_t i = 0; good && i < RT_COUNT(steps); i++) {
        finding f = steps[i].verdict(r);
        hide_in(&f, key);
        teacher_says(t, steps[i].what, f);
        good = f.level != FINDING_FAIL;
    }
    if (good) take_context(t, r);
    return good;
}

static bool look_at_list(doctor_teacher *t, http_client *http, const rt_buf *key)
{
    rt_error err = {0};
    http_response response = {0};
    char urls[BASE_URLS_MAX][BASE_URL_BYTES], location[300] = "";
    const teacher_config *k = &t->config->teacher;
    server_reply r = {
        .base_url = k->base_url, .model = k->model, .api_key = k->api_key, .will_ask = t->d->asks};
    rt_status st = get(t, http, k->base_url, "/models", &response, &r.took_ms, &err);
    if (st != RT_OK) {
        teacher_says(t, "server", finding_of_error(&err, "correct teacher.base_url"));
        return false;
    }
    (void)http_response_header(&response, "location", location, sizeof location);
    r.transport = response.failure;
    r.problem = response.problem;
    r.status = response.status;
    r.body = response.body.data != NULL ? response.body.data : "";
    r.n_body = response.body.n;
    r.location = location;
    if (server_reply_has_no_list(&r)) {
        r.better_url = find_better(t, http, urls);
        if (r.better_url == NULL) r.route_status = route_status(t, http);
    }
    bool good = judge(t, &r, key);
    http_response_free(&response);
    return good;
}

static void warn_of_settings(doctor_teacher *t, const rt_buf *key)
{
    const teacher_config *k = &t->config->teacher;
    if (key->n > 0 && openai_is_in_the_clear(k->base_url)) {
        finding f =
            finding_warn("%s is not https: whoever is between can read the key", k->base_url);
        finding_expect(&f, "https:// beyond this machine");
        finding_fix(&f, "write https:// in teacher.base_url");
        teacher_says(t, "key", f);
    }
    if (!k->tls_verify) {
        finding f = finding_warn("teacher.tls_verify is false: any server may pose as this one");
        finding_expect(&f, "true");
        finding_fix(&f, "name the authority in teacher.ca_file instead");
        teacher_says(t, "server", f);
    }
}

void check_server(doctor_teacher *t)
{
    rt_error err = {0};
    rt_buf key = {0};
    http_client *http = NULL;
    rt_status st = openai_connect(t->config, 1, &key, &http, &err);
    if (st != RT_OK) {
        bool is_key = strstr(err.text, "teacher.api_key") != NULL;
        finding f = finding_of_error(&err, "set the variable, or write the file, that the setting "
                                           "names");
        finding_expect(&f, is_key ? "a key where teacher.api_key says"
                                  : "what the setting names is here");
        teacher_says(t, is_key ? "key" : "server", f);
        goto out;
    }
    warn_of_settings(t, &key);
    if (t->d->offline) {
        finding f = finding_warn("%s was not asked (--offline)", t->config->teacher.base_url);
        finding_expect(&f, "a server that answers GET /models");
        finding_fix(&f, "leave out --offline");
        teacher_says(t, "server", f);
    } else if (look_at_list(t, http, &key) && t->d->asks) {
        ask_server(t, http, &key);
    }
out:
    http_client_free(http);
    if (key.data != NULL) explicit_bzero(key.data, key.n);
    rt_buf_free(&key);
}
