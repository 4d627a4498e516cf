#include "tests/unit/worker/teacher/scripted_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const script_line *find_line(const scripted_backend *s, const backend_request *r)
{
    for (size_t i = 0; i < s->n_lines; i++)
        if (strcmp(s->lines[i].input, r->input) == 0 && s->lines[i].sample == r->sample)
            return &s->lines[i];
    return NULL;
}

static rt_status complete_scripted(void *self, const backend_request *requests, size_t n,
                                   const backend_sampling *sampling, backend_answer *answers,
                                   rt_error *err)
{
    scripted_backend *s = self;
    RT_ASSERT(s->n_calls < SCRIPT_MAX && n <= SCRIPT_MAX);
    script_call *call = &s->calls[s->n_calls++];
    call->n = n;
    call->sampling = *sampling;
    if (s->fails_with != RT_OK) return rt_fail(err, s->fails_with, "the script says so");
    for (size_t i = 0; i < n; i++) {
        const script_line *line = find_line(s, &requests[i]);
        snprintf(call->inputs[i], sizeof call->inputs[i], "%s", requests[i].input);
        snprintf(call->prompts[i], sizeof call->prompts[i], "%s", requests[i].prompt);
        call->samples[i] = requests[i].sample;
        answers[i] = (backend_answer){.n_prompt_tokens = 10};
        if (line == NULL || line->text == NULL) {
            answers[i].reason =
                line != NULL && line->reason != NULL ? line->reason : REASON_NOT_RECORDED;
            continue;
        }
        answers[i].text = rt_strndup(line->text, line->n_text);
        answers[i].n_text = line->n_text;
        answers[i].truncated = line->truncated;
        answers[i].finish_reason = line->truncated ? "length" : "stop";
        answers[i].n_completion_tokens = 5;
        answers[i].has_logprob = line->logprob != 0;
        answers[i].sum_logprob = line->logprob;
        if (line->reasoning != NULL) {
            answers[i].reasoning = strdup(line->reasoning);
            answers[i].rationale_source = "think";
        }
        answers[i].n_reasoning_tokens = line->n_reasoning_tokens;
        answers[i].n_cached_tokens = line->n_cached_tokens;
        answers[i].cost = line->cost;
        answers[i].cached = line->cached;
    }
    return RT_OK;
}

scripted_backend *scripted_backend_new(unsigned flags)
{
    scripted_backend *s = calloc(1, sizeof *s);
    RT_ASSERT(s != NULL);
    s->ops = (backend_ops){
        .name = "scripted", .flags = flags, .complete = complete_scripted, .close = free};
    return s;
}

script_line *scripted_backend_line(scripted_backend *s)
{
    RT_ASSERT(s->n_lines < SCRIPT_MAX);
    return &s->lines[s->n_lines++];
}

void scripted_backend_say(scripted_backend *s, const char *input, uint32_t sample, const char *text)
{
    *scripted_backend_line(s) =
        (script_line){.input = input, .sample = sample, .text = text, .n_text = strlen(text)};
}

backend *scripted_backend_open(scripted_backend *s)
{
    backend *b = NULL;
    rt_error err = {0};
    rt_status st = backend_new(&s->ops, s, &b, &err);
    RT_ASSERT(st == RT_OK);
    return b;
}
