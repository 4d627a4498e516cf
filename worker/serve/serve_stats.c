#include "worker/serve/serve_stats.h"

#include <stdio.h>

/* Buckets double: from 1 ms, the last at about 65 s. */
#define SECONDS_FIRST   0.001
#define SECONDS_BUCKETS 17

rt_status serve_stats_open(serve_stats *out, rt_error *err)
{
    rt_status st = stats_new(&out->all, err);
    const struct {
        stats_metric **metric;
        bool is_gauge;
        const char *name, *help;
    } list[] = {
        {&out->prompt_tokens, false, "serve_prompt_tokens_total",
         "Tokens of the prompts of requests"},
        {&out->prompt_tokens_read, false, "serve_prompt_tokens_read_total",
         "Tokens of prompts that went through the model"},
        {&out->completion_tokens, false, "serve_completion_tokens_total", "Tokens written"},
        {&out->steps, false, "serve_steps_total", "Decoding steps, each a token for every slot"},
        {&out->cancelled, false, "serve_cancelled_total", "Requests whose client went away"},
        {&out->timeouts, false, "serve_timeouts_total", "Requests that took too long"},
        {&out->waiting, true, "serve_waiting_requests", "Requests that wait for a slot"},
        {&out->slots_used, true, "serve_slots_used", "Slots that decode"},
        {&out->slots, true, "serve_slots", "Slots there are"},
        {&out->draining, true, "serve_draining", "1 while no new request is taken"},
    };
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(list); i++)
        st = (list[i].is_gauge ? stats_gauge : stats_counter)(out->all, list[i].name, list[i].help,
                                                              NULL, 0, list[i].metric, err);
    if (st == RT_OK)
        st = stats_histogram(out->all, "serve_request_seconds",
                             "From the whole request to the end of its answer", NULL, 0,
                             SECONDS_FIRST, SECONDS_BUCKETS, &out->request_s, err);
    if (st == RT_OK)
        st = stats_histogram(out->all, "serve_first_token_seconds",
                             "From the whole request to its first token", NULL, 0, SECONDS_FIRST,
                             SECONDS_BUCKETS, &out->first_token_s, err);
    return st;
}

void serve_stats_close(serve_stats *s)
{
    stats_free(s->all);
    *s = (serve_stats){0};
}

void serve_stats_answered(serve_stats *s, const char *route, unsigned code)
{
    char digits[16];
    stats_metric *m = NULL;
    snprintf(digits, sizeof digits, "%u", code);
    stats_label labels[] = {{"route", route}, {"code", digits}};
    if (stats_counter(s->all, "serve_requests_total", "Requests answered", labels, 2, &m, NULL) ==
        RT_OK)
        stats_add(m, 1);
}
