/* A model folder whose tiny student has learnt given texts by heart, in a second or two.
 *
 *     static const tiny_lesson lessons[] = {{"predict: a\n", "yes"}, {"predict: b\n", "no"}};
 *     tiny_student_write(folder, lessons, 2, 200);     // 200 steps; 0: random weights
 */
#ifndef RT_TESTS_TINY_STUDENT_H
#define RT_TESTS_TINY_STUDENT_H

#include "common/base/status.h"

#define TINY_SEQ_LEN_MAX 48

typedef struct tiny_lesson {
    const char *prompt, *target;
} tiny_lesson;

/* Writes config.json, model.safetensors and tokenizer.model. A failure ends the test program. */
void tiny_student_write(const char *folder, const tiny_lesson *lessons, size_t n, unsigned n_steps);

#endif
