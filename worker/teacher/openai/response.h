/* What an OpenAI-compatible server answered: bytes to choices.
 *
 *     openai_reply reply = {0};
 *     if ((st = openai_reply_read(bytes, n, &reply, err)) != RT_OK) ... RT_CORRUPT: no answer ...
 *     for (size_t i = 0; i < reply.n_choices; i++) use(&reply.choices[i]);
 *     openai_reply_free(&reply);
 *
 * Pure, and safe for any bytes. Chats and plain completions are told apart by what is there.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_RESPONSE_H
#define RT_WORKER_TEACHER_OPENAI_RESPONSE_H

#include "common/base/bytes.h"

/* Reason codes of answers that are none, beside those of backend.h. */
#define REASON_REFUSED             "refused"
#define REASON_CONTENT_FILTER      "content_filter"
#define REASON_TRUNCATED_REASONING "truncated_reasoning"
#define REASON_TRUNCATED           "truncated" /* JSON: as the parse machine calls a cut text */

#define OPENAI_CHOICES_MAX 1024 /* of one reply; more are left out */

/* Owns its texts. */
typedef struct openai_choice {
    uint64_t index;
    const char *reason; /* NULL: there is a text; static */
    rt_buf text;
    rt_buf reasoning;             /* empty: none; never holds '\0' */
    const char *rationale_source; /* where the reasoning was; static, NULL without */
    const char *finish_reason;    /* "stop", "length", "content_filter", "tool_calls", "other" */
    bool truncated;
    bool has_logprob;
    double sum_logprob;
    rt_buf topk; /* a text of common/dataset/topk.h; empty: no other tokens were told */
} openai_choice;

/* Of all choices together; 0: not told. */
typedef struct openai_usage {
    bool known;
    uint64_t n_prompt, n_completion, n_reasoning, n_cached;
} openai_usage;

/* Zero-initialise; openai_reply_free(). */
typedef struct openai_reply {
    openai_choice *choices; /* in order of index, each index once */
    size_t n_choices;
    openai_usage usage;
} openai_reply;

/* RT_CORRUPT when these are not the bytes of an answer; RT_REFUSED when they are a JSON object
 * with an error in place of choices. A choice that broke off on the server's side (finish reason
 * "abort", "error" and the like) is left out: it is to be asked again. */
RT_MUST_USE rt_status openai_reply_read(const char *bytes, size_t n, openai_reply *out,
                                        rt_error *err);
void openai_reply_free(openai_reply *reply);

#endif
