/* retort.json: what a student's folder says of its task, so that it can be used without the config
 * of its run. Written by export, read by predict and serve.
 *
 *     student_spec spec = {0};
 *     if ((st = student_spec_read("student", &spec, err)) != RT_OK) goto out;
 *     answer_parse(&spec.rules, input, raw, n, false, &parsed, err);
 *     student_spec_free(&spec);
 *
 * Target rt::worker_task.
 */
#ifndef RT_WORKER_RUNTIME_TASK_FILE_H
#define RT_WORKER_RUNTIME_TASK_FILE_H

#include "common/conf/config.h"
#include "common/dataset/task_text.h"
#include "common/text/answer.h"

#define STUDENT_SPEC_FILE "retort.json"

/* Owns its strings; zero-initialise; student_spec_free(). */
typedef struct student_spec {
    char *task_name;         /* enters every example's id */
    char *label_format;      /* as in task.label_format */
    answer_rules rules;      /* of what the student writes: the first marker is the one that
                                 label_format puts before the label */
    student_task answers_by; /* TASK_PREDICT or TASK_SOLVE */
    bool explains;           /* was trained on TASK_EXPLAIN */
    char **texts[3];         /* private: markers, stop marks, classes */
} student_spec;

RT_MUST_USE rt_status student_spec_of(const config *c, student_spec *out, rt_error *err);
void student_spec_free(student_spec *spec);
/* "<folder>/retort.json", atomically. */
RT_MUST_USE rt_status student_spec_write(const student_spec *spec, const char *folder,
                                         rt_error *err);
/* The text of that file appended to *out, and back: `name` is for messages. */
RT_MUST_USE rt_status student_spec_print(const student_spec *spec, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status student_spec_parse(const char *name, const char *text, size_t n,
                                         student_spec *out, rt_error *err);
/* RT_NOTFOUND when the folder has none, RT_CORRUPT says what is wrong. */
RT_MUST_USE rt_status student_spec_read(const char *folder, student_spec *out, rt_error *err);

/* Which task a student answers by: eval.answer_with, and for auto the one the preset trains. */
student_task student_answers_by(const config *c);

#endif
