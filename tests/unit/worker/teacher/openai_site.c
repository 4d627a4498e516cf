#include "tests/unit/worker/teacher/openai_site.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static allowance_verdict take(void *self, allowance_need *need, uint64_t now_ms, uint64_t *retry_ms)
{
    openai_site *s = self;
    (void)now_ms, (void)retry_ms;
    cr_expect_gt(need->n_prompt_tokens, 0);
    cr_expect_gt(need->n_completion_tokens, 0);
    if (s->n_taken_max > 0 && s->n_taken == s->n_taken_max) return ALLOWANCE_NEVER;
    s->n_taken++;
    return ALLOWANCE_GO;
}

static void settle(void *self, const allowance_need *need, allowance_use *use, uint64_t now_ms)
{
    openai_site *s = self;
    (void)need, (void)now_ms;
    s->n_settled++;
    s->n_unknown += !use->known;
    s->n_prompt_tokens += use->n_prompt_tokens;
    s->n_completion_tokens += use->n_completion_tokens;
    if (use->known && use->n_prompt_tokens > 0) use->cost = s->price;
}

static void hear(void *self, const allowance_limit *requests, const allowance_limit *tokens,
                 uint64_t after, uint64_t now_ms)
{
    openai_site *s = self;
    (void)after, (void)now_ms;
    s->n_limits_heard += requests->known || tokens->known;
    s->n_no_limits_heard += !requests->known && !tokens->known;
}

static void turn(void *self, uint64_t now_ms)
{
    (void)self, (void)now_ms;
}

static const allowance_ops site_ops = {.take = take, .settle = settle, .hear = hear, .turn = turn};

static void report(void *context, const char *trouble)
{
    openai_site *s = context;
    s->n_reports += trouble != NULL;
}

static void count(void *context, const char *what, uint64_t n)
{
    openai_site *s = context;
    cr_assert_eq(rt_buf_printf(&s->counted, NULL, "%s %zu\n", what, (size_t)n), RT_OK);
}

void openai_site_new(openai_site *s, const char *teacher, const char *rest, fault_script script,
                     void *context)
{
    rt_buf yaml = {0};
    rt_log_init(RT_LOG_ERROR, "test");
    *s = (openai_site){.server = fault_server_start(script, context)};
    cr_assert_eq(rt_buf_printf(&yaml, NULL,
                               "seed: 5\ncorpus: {files: [x.jsonl]}\n"
                               "teacher: {backend: openai, base_url: \"%s/v1\", "
                               "model: m%s%s}\n%s\n",
                               fault_server_url(s->server), teacher[0] != '\0' ? ", " : "", teacher,
                               rest),
                 RT_OK);
    cr_assert_eq(config_parse("t.yaml", yaml.data, yaml.n, NULL, &s->config, &s->err), RT_OK, "%s",
                 s->err.text);
    rt_buf_free(&yaml);
    cr_assert_eq(backend_open(s->config, &s->backend, &s->err), RT_OK, "%s", s->err.text);
    s->allowance = (allowance){.ops = &site_ops, .self = s};
    s->means =
        (backend_means){.allowance = &s->allowance, .report = report, .count = count, .context = s};
    backend_use(s->backend, &s->means);
}

static void drop_answers(openai_site *s)
{
    if (s->answers != NULL) backend_answers_free(s->answers, s->n);
    free(s->answers);
    free(s->requests);
    free(s->prompts);
    s->answers = NULL;
    s->requests = NULL;
    s->prompts = NULL;
}

void openai_site_free(openai_site *s)
{
    drop_answers(s);
    backend_close(s->backend);
    config_free(s->config);
    fault_server_stop(s->server);
    rt_buf_free(&s->counted);
}

backend_answer *openai_site_ask(openai_site *s, size_t n_rows, size_t n_samples, rt_status expected)
{
    drop_answers(s);
    s->n = n_rows * n_samples;
    s->requests = calloc(s->n, sizeof *s->requests);
    s->answers = calloc(s->n, sizeof *s->answers);
    s->prompts = calloc(s->n, sizeof *s->prompts);
    cr_assert(s->requests != NULL && s->answers != NULL && s->prompts != NULL);
    for (size_t i = 0; i < s->n; i++) {
        size_t row = i / n_samples;
        int n = snprintf(s->prompts[i], sizeof s->prompts[i], "question %zu ", row);
        s->requests[i] = (backend_request){.record_id = rt_id_of(&row, sizeof row),
                                           .sample = (uint32_t)(i % n_samples),
                                           .input = "",
                                           .source_id = "",
                                           .prompt = s->prompts[i],
                                           .n_prompt = (size_t)n};
    }
    backend_sampling sampling = {.top_p = 1, .seed = 5};
    rt_status st = backend_complete(s->backend, s->requests, s->n, &sampling, s->answers, &s->err);
    cr_assert_eq(st, expected, "%s: %s", rt_status_name(st), s->err.text);
    cr_expect_eq(s->n_taken, s->n_settled, "%zu taken, %zu settled", s->n_taken, s->n_settled);
    return s->answers;
}

uint64_t openai_site_counted(const openai_site *s, const char *what)
{
    uint64_t sum = 0;
    size_t n = strlen(what);
    for (const char *at = s->counted.data; at != NULL && *at != '\0';) {
        if (strncmp(at, what, n) == 0 && at[n] == ' ') sum += strtoull(at + n, NULL, 10);
        at = strchr(at, '\n') + 1;
    }
    return sum;
}

size_t openai_site_requests(openai_site *s)
{
    return fault_server_counts(s->server).n_requests;
}

size_t openai_row_of(const fault_request *request)
{
    const char *at = strstr(request->body, "question ");
    if (at == NULL) abort();
    return strtoul(at + 9, NULL, 10);
}

void openai_reply_text(fault_reply *reply, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (rt_buf_add_text(&reply->body, text, NULL) != RT_OK) abort();
}

void openai_site_say(const fault_request *request, fault_reply *reply)
{
    openai_reply_text(reply,
                      "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":"
                      "\"assistant\",\"content\":\"answer %zu\"}}],\"usage\":{\"prompt_tokens\":10,"
                      "\"completion_tokens\":5}}",
                      openai_row_of(request));
}
