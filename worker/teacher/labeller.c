#include <stdlib.h>
#include <string.h>

#include "common/text/prompt_lint.h"
#include "common/text/template.h"
#include "worker/runtime/run_path.h"
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

static rt_status check_label_given(const config *c, rt_error *err)
{
    rt_buf text = {0};
    template *t = NULL;
    const template_pair pairs[] = {{"input", ""}, {"label", ""}};
    if (c->prompt.label_given[0] == '\0') return RT_OK;
    rt_status st = template_parse(c->prompt.label_given, &t, err);
    if (st == RT_OK) st = template_render_pairs(t, pairs, RT_COUNT(pairs), &text, err);
    if (st == RT_OK && c->prompt.kind == PROMPT_REASONING)
        st = prompt_lint_reasoning("prompt.label_given", c->prompt.label_given, err);
    else if (st != RT_OK)
        st = rt_wrap(err, RT_INVALID, "prompt.label_given");
    template_free(t);
    rt_buf_free(&text);
    return st;
}

/* A folder's model as a backend that scores. Its settings are the run's but for what is its own. */
static rt_status open_scorer_model(const config *c, backend **out, rt_error *err)
{
    config own = *c; /* shares its texts; the native backend keeps none of it */
    own.teacher.model = c->quality.scorer;
    own.teacher.max_new_tokens = 1;
    own.prompt.max_prompt_tokens = 0;
    rt_status st = backend_open_native(&own, out, err);
    return st == RT_OK ? st : rt_wrap(err, st, "quality.scorer");
}

static rt_status open_scorer(const config *c, backend *teacher, label_scorer *out, rt_error *err)
{
    const quality_config *q = &c->quality;
    label_scorer scorer = {.label_format = c->task.label_format};
    prompt_profile *prompts = NULL;
    rt_status st = RT_OK;
    if (q->scorer[0] == '\0') return RT_OK;
    if (q->scorer_template[0] != '\0') {
        prompt_profile_settings settings = {.instruction = "",
                                            .exemplars_path = "",
                                            .exemplar_template = c->prompt.exemplar_template,
                                            .question_template = q->scorer_template,
                                            .separator = c->prompt.separator};
        if ((st = prompt_profile_new(&settings, &prompts, err)) != RT_OK)
            return rt_wrap(err, st, "quality.scorer_template");
    }
    scorer.prompts = prompts;
    scorer.backend = teacher;
    if (strcmp(q->scorer, "teacher") != 0) st = open_scorer_model(c, &scorer.backend, err);
    if (st == RT_OK)
        *out = scorer;
    else
        prompt_profile_free(prompts);
    return st;
}

static void close_one(labeller *l)
{
    if (l->scorer.backend != l->backend) backend_close(l->scorer.backend);
    prompt_profile_free((prompt_profile *)l->scorer.prompts);
    backend_close(l->backend);
    prompt_profile_free((prompt_profile *)l->prompts);
    memset(l, 0, sizeof *l);
}

/* One teacher, without the one behind it. */
static rt_status open_one(const config *c, labeller *out, rt_error *err)
{
    rt_status st = RT_OK;
    prompt_profile *prompts = NULL;
    backend *b = NULL;
    label_scorer scorer = {0};
    if ((st = labeller_prompts(c, &prompts, err)) != RT_OK) goto out;
    if ((st = check_label_given(c, err)) != RT_OK) goto out;
    if ((st = backend_open(c, &b, err)) != RT_OK) goto out;
    if ((st = open_scorer(c, b, &scorer, err)) != RT_OK) goto out;
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
        .label_given = c->prompt.label_given,
        .policy = answer_policy_of(c),
        .scorer = scorer,
    };
    prompts = NULL;
    b = NULL;
out:
    backend_close(b);
    prompt_profile_free(prompts);
    return st;
}

/* The second teacher's config lives as long as its labeller. */
typedef struct second_teacher {
    labeller labeller; /* first: a labeller's `second` points to it */
    config *config;
} second_teacher;

static void close_second(second_teacher *second)
{
    if (second == NULL) return;
    close_one(&second->labeller);
    config_free(second->config);
    free(second);
}

static rt_status open_second(const config *c, second_teacher **out, rt_error *err)
{
    rt_status st = RT_OK;
    second_teacher *second = rt_calloc(1, sizeof *second);
    if (second == NULL) return rt_fail(err, RT_NOMEM, "second teacher");
    if ((st = config_load_second(c, &second->config, err)) != RT_OK) goto out;
    st = open_one(second->config, &second->labeller, err);
    if (st != RT_OK) {
        st = rt_wrap(err, st, "escalate.config: %s", c->escalate.config);
        goto out;
    }
    *out = second;
    second = NULL;
out:
    close_second(second);
    return st;
}

rt_status labeller_open(const config *c, labeller *out, rt_error *err)
{
    labeller l = {0};
    second_teacher *second = NULL;
    rt_status st = open_one(c, &l, err);
    if (st != RT_OK) return st;
    if (c->escalate.config[0] != '\0') {
        if ((st = open_second(c, &second, err)) != RT_OK) {
            close_one(&l);
            return st;
        }
        l.second = &second->labeller;
        l.when_rejected = c->escalate.when_rejected;
        l.when_confidence_below = c->escalate.when_confidence_below;
    }
    *out = l;
    return RT_OK;
}

bool labeller_asks_server(const labeller *l)
{
    return backend_can(l->backend, BACKEND_ASKS_SERVER) ||
           (l->second != NULL && backend_can(l->second->backend, BACKEND_ASKS_SERVER));
}

/* Answers that cost something are kept where other runs find them too. */
rt_status labeller_open_cache(const config *c, answer_cache **out, rt_error *err)
{
    char folder[4096];
    if (c->teacher.backend != TEACHER_OPENAI && c->escalate.config[0] == '\0') return RT_OK;
    rt_status st = cache_path(c, folder, sizeof folder, err);
    if (st != RT_OK || folder[0] == '\0') return st;
    return answer_cache_open(folder, out, err);
}

void labeller_use(const labeller *l, const backend_means *means)
{
    backend_use(l->backend, means);
    if (l->second == NULL) return;
    backend_means apart = *means;
    apart.limits_apart = true;
    backend_use(l->second->backend, &apart);
}

void labeller_close(labeller *l)
{
    if (l == NULL) return;
    close_second((second_teacher *)l->second);
    close_one(l);
}
