/* An answer in JSON, as the schema asked for it, as the text that the parse machine reads.
 *
 *     {"rationale": "Two and two.", "label": 4}  ->  "Two and two.\nThe answer is 4"
 *
 * Pure, and safe for any bytes.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_JSON_ANSWER_H
#define RT_WORKER_TEACHER_OPENAI_JSON_ANSWER_H

#include "common/base/bytes.h"

/* Borrows. */
typedef struct json_answer_rules {
    const char *label_key, *rationale_key;
    const char *label_format; /* over {marker} {label} */
    const char *marker;       /* "" = none: the label is all of the text */
} json_answer_rules;

/* Replaces *out. RT_CORRUPT when the bytes are no JSON object with a label that is a text, a
 * number or a truth value. A missing rationale is none. *rationale (may be NULL, else replaced)
 * receives the rationale when the text has no place for it, because there is no marker. */
RT_MUST_USE rt_status json_answer_text(const json_answer_rules *rules, const char *bytes, size_t n,
                                       rt_buf *out, rt_buf *rationale, rt_error *err);

#endif
