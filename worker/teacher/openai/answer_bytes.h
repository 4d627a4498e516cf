/* An answer as bytes for the answer cache, and its key.
 *
 * The bytes are JSON of one version; what cannot be read is as good as not there. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_ANSWER_BYTES_H
#define RT_WORKER_TEACHER_OPENAI_ANSWER_BYTES_H

#include "worker/teacher/backend.h"

/* Everything that shapes the answer: where the model lives, the body of the request (which holds
 * model, prompt and sampling), the number of the sample, and how the answer is read. Borrows. */
typedef struct answer_key_parts {
    const char *base_url;
    const char *kind; /* "chat", "completions", with what else tells two ways of asking apart */
    const char *body;
    size_t n_body;
    uint32_t sample;
} answer_key_parts;
RT_MUST_USE rt_status answer_key(const answer_key_parts *parts, rt_id *out, rt_error *err);

/* Replaces *out. */
RT_MUST_USE rt_status answer_to_bytes(const backend_answer *answer, rt_buf *out, rt_error *err);
/* *out owns its texts (backend_answers_free()) and is marked cached. RT_CORRUPT otherwise. */
RT_MUST_USE rt_status answer_from_bytes(const char *bytes, size_t n, backend_answer *out,
                                        rt_error *err);

#endif
