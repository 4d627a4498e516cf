/* How a student is asked for the part that a request wants, and how its writing becomes the answer.
 *
 *     student        wanted            it is asked to     content
 *     solve          as written, both  solve              what it writes, as it writes it
 *     solve          label, rationale  solve              that part, read from what it wrote
 *     predict        as written        predict            what it writes
 *     predict        label             predict            the label in canonical form
 *     predict        rationale         explain            what it writes
 *     predict        both              explain, predict   rationale, then label as task.label_format
 *     (no student)   as written        its prompt         what it writes
 *
 * With split_reasoning, `both` is given in two fields.
 */
#ifndef RT_WORKER_SERVE_ANSWER_PLAN_H
#define RT_WORKER_SERVE_ANSWER_PLAN_H

#include "worker/runtime/task_file.h"
#include "worker/serve/request.h"

#define ANSWER_PARTS_MAX 2

typedef struct answer_plan {
    size_t n_parts;                       /* decodings for each choice */
    student_task tasks[ANSWER_PARTS_MAX]; /* TASK_COUNT: the prompt as it is */
    bool is_direct;                       /* one part, and the content is what it writes */
    wanted_part wanted;
    bool split;
} answer_plan;

/* `spec` NULL: no student. False with *why when the model cannot give what is wanted. */
bool answer_plan_make(const student_spec *spec, const serve_request *ask, answer_plan *out,
                      api_error *why);

/* Owns its texts; answer_texts_free(). */
typedef struct answer_texts {
    char *content;       /* NULL: could not be read */
    char *reasoning;     /* NULL: none, or not asked for */
    const char *problem; /* NULL, or a reason code of the parse machine; static */
} answer_texts;

/* From what was written for each part, whole and repaired. Not for a direct plan. */
RT_MUST_USE rt_status answer_texts_read(const student_spec *spec, const answer_plan *plan,
                                        const char *input, const char *const *written,
                                        const bool *truncated, answer_texts *out, rt_error *err);
void answer_texts_free(answer_texts *texts);

#endif
