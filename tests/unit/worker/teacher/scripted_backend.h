/* A backend for tests that says what a script says, and remembers what it was asked.
 *
 *     scripted_backend *s = scripted_backend_new(BACKEND_CAN_GENERATE);
 *     scripted_backend_say(s, "the input", 0, "B. Answer: yes");
 *     backend *b = scripted_backend_open(s);      // backend_close(b) frees s
 */
#ifndef RT_TESTS_SCRIPTED_BACKEND_H
#define RT_TESTS_SCRIPTED_BACKEND_H

#include "worker/teacher/backend.h"

#define SCRIPT_MAX 64

typedef struct script_line {
    const char *input;
    uint32_t sample;
    const char *text; /* NULL: `reason` */
    size_t n_text;
    const char *reason;
    bool truncated;
    double logprob; /* 0: not known */
    const char *reasoning;
    uint64_t n_reasoning_tokens, n_cached_tokens;
    double cost;
    bool cached;
} script_line;

typedef struct script_call {
    size_t n;
    char inputs[SCRIPT_MAX][64];
    char prompts[SCRIPT_MAX][128];
    uint32_t samples[SCRIPT_MAX];
    backend_sampling sampling;
} script_call;

typedef struct scripted_backend {
    backend_ops ops;
    script_line lines[SCRIPT_MAX];
    size_t n_lines;
    script_call calls[SCRIPT_MAX];
    size_t n_calls;
    rt_status fails_with; /* RT_OK: does not */
} scripted_backend;

scripted_backend *scripted_backend_new(unsigned flags);
void scripted_backend_say(scripted_backend *s, const char *input, uint32_t sample,
                          const char *text);
script_line *scripted_backend_line(scripted_backend *s);
backend *scripted_backend_open(scripted_backend *s);

#endif
