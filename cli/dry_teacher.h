/* One teacher of a dry run: what its prompts and answers come to. Asks nobody.
 *
 *     dry_teacher t = {0};
 *     if ((st = dry_teacher_open(config, &t, err)) != RT_OK) goto out;
 *     st = dry_teacher_prompt(&t, input, true, &prompt, &n_tokens, err);   // for a sample of rows
 *     projection p = dry_teacher_project(&t, n_rows);
 *     dry_teacher_close(&t);
 */
#ifndef RT_CLI_DRY_TEACHER_H
#define RT_CLI_DRY_TEACHER_H

#include "cli/projection.h"
#include "common/conf/config.h"
#include "common/text/prompt.h"
#include "common/text/tokenizer.h"

/* Zero-initialise; dry_teacher_close(). */
typedef struct dry_teacher {
    const config *config; /* kept; NULL: there is no such teacher */
    prompt_profile *prompts;
    tokenizer *tokenizer; /* NULL: tokens are estimated */
    uint64_t n_sampled, n_tokens_max;
    uint64_t n_too_long; /* of the sample, for prompt.max_prompt_tokens */
    double n_tokens_sum;
    double answer_likely; /* tokens; 0: not known */
} dry_teacher;

RT_MUST_USE rt_status dry_teacher_open(const config *c, dry_teacher *out, rt_error *err);
void dry_teacher_close(dry_teacher *t);
/* Recorded texts cost nothing, and nothing is sent. */
bool dry_teacher_is_recorded(const dry_teacher *t);
/* The prompt of an input, and its length. With `counts` it is one of the sample. Nothing for a
 * recorded teacher. */
RT_MUST_USE rt_status dry_teacher_prompt(dry_teacher *t, const char *input, bool counts,
                                         rt_buf *prompt, uint64_t *n_tokens, rt_error *err);
double dry_teacher_prompt_mean(const dry_teacher *t);
/* For so many rows like those of the sample; zeros for a recorded teacher. */
projection dry_teacher_project(const dry_teacher *t, uint64_t n_rows);

#endif
