/* The files that `retort init` writes, as text: a commented config and worked examples. Pure.
 *
 *     init_choice choice = {.task = ANSWER_CLASS, .teacher = "native", .name = "reviews", ...};
 *     st = init_config(&choice, &yaml, &err);
 *     if (init_has_exemplars(&choice)) st = init_exemplars(&choice, &lines, &err);
 *
 * Markers, prompt and worked examples of a task belong together: what the examples show is what the
 * parser finds.
 */
#ifndef RT_CLI_INIT_TEXT_H
#define RT_CLI_INIT_TEXT_H

#include "common/conf/config.h"

#define INIT_CONFIG_FILE    "retort.yaml"
#define INIT_EXEMPLARS_FILE "exemplars.jsonl"
#define INIT_RECORDED_FILE  "answers.jsonl"

/* Borrows its texts. */
typedef struct init_choice {
    answer_kind task;    /* class, choice, number or text */
    const char *teacher; /* "recorded", "native" or "openai" */
    const char *name;    /* of the run */
    const char *corpus;  /* path or glob */
    const char *model;   /* folder or name; "" = one to be filled in */
} init_choice;

/* Names of what there is to choose, ended by NULL. */
extern const char *const init_tasks[];
extern const char *const init_teachers[];
/* RT_INVALID with the nearest name. */
RT_MUST_USE rt_status init_find_task(const char *name, answer_kind *out, rt_error *err);
RT_MUST_USE rt_status init_find_teacher(const char *name, const char **out, rt_error *err);

/* Teachers that write, not those that wrote before, need worked examples. */
bool init_has_exemplars(const init_choice *choice);
/* Both add to *out. */
RT_MUST_USE rt_status init_config(const init_choice *choice, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status init_exemplars(const init_choice *choice, rt_buf *out, rt_error *err);

#endif
