/* A thought that a model wrote into its answer, between <think> and </think>. */
#ifndef RT_WORKER_TEACHER_OPENAI_THOUGHT_H
#define RT_WORKER_TEACHER_OPENAI_THOUGHT_H

#include "common/base/bytes.h"

typedef enum thought_kind {
    THOUGHT_NONE,
    THOUGHT_CLOSED, /* and an answer behind it, maybe empty */
    THOUGHT_OPEN,   /* never ended: there is no answer */
} thought_kind;

/* Parts of text[0..n). */
typedef struct thought_parts {
    thought_kind kind;
    size_t thought, n_thought; /* trimmed */
    size_t answer, n_answer;   /* without white space before it */
} thought_parts;

/* Only a thought at the beginning counts. Where the server's template wrote the opening mark
 * itself, the text begins inside the thought and has only the closing one. */
thought_parts thought_split(const char *text, size_t n);

#endif
