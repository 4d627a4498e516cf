/* A teacher and the server that it asks, for tests of the whole backend.
 *
 *     openai_site s = openai_site_new("timeout_ms: 300", script, context);
 *     backend_answer *answers = openai_site_ask(&s, 20, 1, RT_OK);
 *     openai_site_free(&s);
 *
 * Row i asks "question <i>"; openai_site_say() answers it with "answer <i>". An allowance that
 * allows everything is in place and is checked to be settled as often as taken.
 */
#ifndef RT_TESTS_OPENAI_SITE_H
#define RT_TESTS_OPENAI_SITE_H

#include "tests/support/fault_server.h"
#include "worker/teacher/backend.h"

typedef struct openai_site {
    fault_server *server;
    config *config;
    backend *backend;
    backend_means means;
    allowance allowance;
    /* Of the allowance. */
    size_t n_taken, n_settled, n_unknown, n_taken_max; /* n_taken_max: then NEVER; 0: none */
    uint64_t n_prompt_tokens, n_completion_tokens;
    size_t n_limits_heard, n_no_limits_heard; /* answers with and without */
    double price;                             /* of each request that is settled as known */
    /* Of the means. */
    size_t n_reports;
    rt_buf counted; /* "what n\n" in order */
    /* Of the last asking. */
    backend_request *requests;
    backend_answer *answers;
    char (*prompts)[64];
    size_t n;
    rt_error err;
} openai_site;

/* `teacher` is more of that section in YAML flow style, "" = nothing. */
void openai_site_new(openai_site *s, const char *teacher, const char *rest, fault_script script,
                     void *context);
void openai_site_free(openai_site *s);
/* Rows 0..n_rows, n_samples each, row by row; expects the status. */
backend_answer *openai_site_ask(openai_site *s, size_t n_rows, size_t n_samples,
                                rt_status expected);
uint64_t openai_site_counted(const openai_site *s, const char *what);
size_t openai_site_requests(openai_site *s);

/* Number of the row that a request is about. */
size_t openai_row_of(const fault_request *request);
/* The good answer to it, with usage 10 + 5 tokens. */
void openai_site_say(const fault_request *request, fault_reply *reply);
void openai_reply_text(fault_reply *reply, const char *format, ...) RT_PRINTF(2, 3);

#endif
