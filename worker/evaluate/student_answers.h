/* A trained student answers: inputs in, labels and rationales out.
 *
 *     answering_student *s = NULL;
 *     if ((st = answering_student_open("student", 2, false, &s, err)) != RT_OK) goto out;
 *     answer_settings how = {.spec = &spec, .task = TASK_PREDICT, .batch = 32, .max_new_tokens = 64};
 *     if ((st = answer_inputs(s, &how, inputs, n, answers, err)) != RT_OK) goto out;
 *     student_answers_free(answers, n);
 *
 * Greedy, or by beam search (common/nn/beam.h). Inputs are decoded in batches of like length and come back in their own order.
 */
#ifndef RT_WORKER_EVALUATE_STUDENT_ANSWERS_H
#define RT_WORKER_EVALUATE_STUDENT_ANSWERS_H

#include "worker/runtime/task_file.h"

typedef struct answering_student answering_student;

/* `folder`: model and tokenizer. `halves`: as model_decode_in_halves(). Returns new; answering_student_close(). */
RT_MUST_USE rt_status answering_student_open(const char *folder, size_t n_threads, bool halves,
                                             answering_student **out, rt_error *err);
void answering_student_close(answering_student *s);

typedef struct answer_settings {
    const student_spec *spec; /* borrows */
    student_task task;        /* predict: the text is the label; solve: it holds a rationale and the
                                 label; explain: it is the rationale */
    size_t batch;
    size_t max_new_tokens;
    size_t beams; /* 0 or 1: greedy */
    double length_penalty;
    /* NULL, or told after each batch; false asks to stop. */
    bool (*progress)(void *context, size_t n_done, size_t n);
    void *progress_context;
} answer_settings;

/* Owns its texts; student_answers_free(). */
typedef struct student_answer {
    char *raw;       /* what the student wrote, as UTF-8; "" when the prompt was too long */
    char *label;     /* canonical; NULL when it could not be read from raw */
    char *rationale; /* NULL: none */
    const char
        *problem; /* NULL, a reason code of the parse machine, or "prompt_too_long"; static */
    const char *finish_reason; /* "stop" or "length"; static; NULL when nothing was written */
    double sum_logprob;        /* in nats */
    size_t n_prompt_tokens, n_new_tokens;
} student_answer;
void student_answers_free(student_answer *answers, size_t n);

/* answers[0..n) is filled on success and untouched on failure. RT_CANCELLED when progress() said so. */
RT_MUST_USE rt_status answer_inputs(answering_student *s, const answer_settings *how,
                                    const char *const *inputs, size_t n, student_answer *answers,
                                    rt_error *err);

#endif
