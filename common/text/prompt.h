/* Prompt profiles: how a question is put to a teacher, apart from what the task is.
 *
 *     instruction, separator, exemplar 1, separator, ..., exemplar n, separator, question
 */
#ifndef RT_TEXT_PROMPT_H
#define RT_TEXT_PROMPT_H

#include "common/text/tokenizer.h"

typedef struct prompt_profile prompt_profile;

/* All borrowed during prompt_profile_new(). */
typedef struct prompt_profile_settings {
    /* For models that think by themselves: each input stands between <input> and </input>, each
     * exemplar between <example> and </example>, and a text that tells the model to think is
     * refused (prompt_lint.h). */
    bool reasoning;
    const char *instruction;       /* "" = none */
    const char *exemplars_path;    /* JSON lines {"input","rationale","label"}; "" = zero-shot */
    const char *exemplar_template; /* over {input} {rationale} {label} */
    const char *question_template; /* over {input} */
    const char *separator;
} prompt_profile_settings;

/* RT_CORRUPT names file:line of a bad exemplar. Returns new; prompt_profile_free(). */
RT_MUST_USE rt_status prompt_profile_new(const prompt_profile_settings *settings,
                                         prompt_profile **out, rt_error *err);
void prompt_profile_free(prompt_profile *p);
/* Append the prompt for one input. */
RT_MUST_USE rt_status prompt_profile_render(const prompt_profile *p, const char *input, rt_buf *out,
                                            rt_error *err);
/* Content hash of everything but the input: goes into each record's meta. */
const char *prompt_profile_hash(const prompt_profile *p);
size_t prompt_profile_n_exemplars(const prompt_profile *p);

#endif
