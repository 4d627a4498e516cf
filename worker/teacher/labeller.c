#include <string.h>

#include "worker/runtime/task_rules.h"
#include "worker/teacher/run.h"

rt_status labeller_prompts(const config *c, prompt_profile **out, rt_error *err)
{
    prompt_profile_settings settings = {
        .reasoning = c->prompt.kind == PROMPT_REASONING,
        .instruction = c->prompt.instruction,
        .exemplars_path = c->prompt.exemplars,
        .exemplar_template = c->prompt.exemplar_template,
        .question_template = c->prompt.template,
        .separator = c->prompt.separator,
    };
    return prompt_profile_new(&settings, out, err);
}

rt_status labeller_open(const config *c, labeller *out, rt_error *err)
{
    rt_status st = RT_OK;
    prompt_profile *prompts = NULL;
    backend *b = NULL;
    if ((st = labeller_prompts(c, &prompts, err)) != RT_OK) goto out;
    if ((st = backend_open(c, &b, err)) != RT_OK) goto out;
    *out = (labeller){
        .rules = answer_rules_of(c),
        .prompts = prompts,
        .backend = b,
        .name = c->teacher.name[0] != '\0' ? c->teacher.name : backend_name(b),
        .sampling = {.temperature = c->teacher.temperature,
                     .top_k = c->teacher.top_k,
                     .top_p = c->teacher.top_p,
                     .seed = c->seed},
        .attempts_max = c->teacher.attempts_max,
    };
    prompts = NULL;
out:
    prompt_profile_free(prompts);
    return st;
}

void labeller_use(const labeller *l, const backend_means *means)
{
    backend_use(l->backend, means);
}

void labeller_close(labeller *l)
{
    if (l == NULL) return;
    backend_close(l->backend);
    prompt_profile_free((prompt_profile *)l->prompts);
    memset(l, 0, sizeof *l);
}
