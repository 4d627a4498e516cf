/* --ask: one small real request, as a run would send it but for its prompt and its length. */
#include <stdio.h>
#include <string.h>

#include "cli/doctor/ask_verdict.h"
#include "cli/doctor/doctor.h"
#include "common/base/clock.h"
#include "worker/teacher/openai/connect.h"

#define ASK_TOKENS_MAX 16 /* fewer are refused by some */
#define SEED_MASK      0x7FFFFFFF
#define QUESTION       "Say yes."

static rt_status make_body(const doctor_teacher *t, uint64_t n_choices, rt_buf *body, rt_error *err)
{
    const config *c = t->config;
    openai_shape shape;
    json_t *schema = NULL, *extra = NULL;
    rt_buf prompt = {0};
    rt_status st = openai_shape_load(c, &shape, &schema, &extra, err);
    if (st == RT_OK && c->prompt.instruction[0] != '\0')
        st = rt_buf_printf(&prompt, err, "%s%s", c->prompt.instruction, c->prompt.separator);
    if (st == RT_OK) st = rt_buf_add_text(&prompt, QUESTION, err);
    if (st == RT_OK) {
        bool several = c->quality.samples > 1;
        openai_question q = {.stage = OPENAI_ANSWER,
                             .prompt = prompt.data,
                             .n_prompt = prompt.n,
                             .n = n_choices,
                             .temperature =
                                 several ? c->quality.temperature : c->teacher.temperature,
                             .top_k = c->teacher.top_k,
                             .top_p = c->teacher.top_p,
                             .seed = c->seed & SEED_MASK};
        shape.max_tokens = RT_MIN(shape.max_tokens, (uint64_t)ASK_TOKENS_MAX);
        st = openai_request_body(&shape, &q, body, err);
    }
    rt_buf_free(&prompt);
    json_decref(schema);
    json_decref(extra);
    return st;
}

static finding judge(const doctor_teacher *t, const http_response *response, uint64_t n_choices,
                     uint64_t took_ms)
{
    const config *c = t->config;
    ask_reply r = {.transport = response->failure,
                   .problem = response->problem,
                   .was_sent = response->was_sent,
                   .status = response->status,
                   .body = response->body.data != NULL ? response->body.data : "",
                   .n_body = response->body.n,
                   .headers = openai_headers_read(response, rt_clock_wall_ms()),
                   .took_ms = took_ms,
                   .model = c->teacher.model,
                   .n_choices = n_choices,
                   .logprobs = c->teacher.logprobs,
                   .prices = price_table_of(c),
                   .currency = c->limits.currency,
                   .has_budget = c->limits.budget > 0};
    return ask_verdict(&r);
}

void ask_server(doctor_teacher *t, http_client *http, const rt_buf *key)
{
    rt_error err = {0};
    rt_buf url = {0}, body = {0};
    http_response response = {0};
    uint64_t took_ms = 0;
    const teacher_config *k = &t->config->teacher;
    uint64_t n_choices = RT_MIN(k->choices_max, t->config->quality.samples);
    rt_status st = make_body(t, n_choices, &body, &err);
    if (st == RT_OK) st = openai_request_url(k->base_url, k->api == API_CHAT, &url, &err);
    if (st == RT_OK) {
        http_request request = {
            .url = url.data, .body = body.data, .n_body = body.n, .timeout_ms = k->timeout_ms};
        st = doctor_fetch(http, &request, &response, &took_ms, &err);
    }
    finding f = st == RT_OK ? judge(t, &response, n_choices, took_ms)
                            : finding_of_error(&err, "look at the section teacher");
    openai_hide(key, f.found);
    teacher_says(t, "ask", f);
    http_response_free(&response);
    rt_buf_free(&url);
    rt_buf_free(&body);
}
