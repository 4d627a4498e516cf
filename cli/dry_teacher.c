#include "cli/dry_teacher.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/text/token_estimate.h"
#include "worker/runtime/model_tokenizer.h"
#include "worker/teacher/openai/prompt_limit.h"
#include "worker/teacher/run.h"

#define EXEMPLARS_BYTES_MAX ((size_t)16 << 20)

bool dry_teacher_is_recorded(const dry_teacher *t)
{
    return t->config->teacher.backend == TEACHER_RECORDED;
}

static rt_status count_tokens(const dry_teacher *t, const char *text, size_t n, uint64_t *out,
                              rt_error *err)
{
    id_list ids = {0};
    if (t->tokenizer == NULL) {
        *out = token_estimate(text, n);
        return RT_OK;
    }
    rt_status st = tokenizer_encode(t->tokenizer, text, n, &ids, err);
    if (st == RT_OK) *out = ids.n + 1; /* bos */
    id_list_free(&ids);
    return st;
}

/* As long as the worked examples' answers are, on average; 0 without them. */
static rt_status find_answer_length(dry_teacher *t, rt_error *err)
{
    rt_buf file = {0};
    double sum = 0;
    size_t n = 0;
    const char *path = t->config->prompt.exemplars;
    if (path[0] == '\0') return RT_OK;
    rt_status st = rt_fs_read(path, EXEMPLARS_BYTES_MAX, &file, err);
    char *rest = NULL;
    for (char *line = st == RT_OK && file.n > 0 ? strtok_r(file.data, "\n", &rest) : NULL;
         st == RT_OK && line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        uint64_t n_rationale = 0, n_label = 0;
        json_t *root = json_loads(line, 0, NULL); /* checked when the prompts were made */
        const char *rationale = json_string_value(json_object_get(root, "rationale"));
        const char *label = json_string_value(json_object_get(root, "label"));
        if (rationale != NULL)
            st = count_tokens(t, rationale, strlen(rationale), &n_rationale, err);
        if (st == RT_OK && label != NULL) st = count_tokens(t, label, strlen(label), &n_label, err);
        json_decref(root);
        sum += (double)(n_rationale + n_label);
        n++;
    }
    if (n > 0) t->answer_likely = sum / (double)n;
    rt_buf_free(&file);
    return st;
}

rt_status dry_teacher_open(const config *c, dry_teacher *out, rt_error *err)
{
    dry_teacher t = {.config = c};
    rt_status st = labeller_prompts(c, &t.prompts, err);
    if (st == RT_OK && c->teacher.backend == TEACHER_NATIVE)
        st = model_tokenizer_load(c->teacher.model, &t.tokenizer, err);
    if (st == RT_OK && !dry_teacher_is_recorded(&t)) st = find_answer_length(&t, err);
    if (st != RT_OK) {
        dry_teacher_close(&t);
        return st;
    }
    *out = t;
    return RT_OK;
}

void dry_teacher_close(dry_teacher *t)
{
    tokenizer_free(t->tokenizer);
    prompt_profile_free(t->prompts);
    *t = (dry_teacher){0};
}

/* As the teacher will find it before it asks. */
static bool is_too_long(const dry_teacher *t, const rt_buf *prompt, uint64_t n_tokens)
{
    const config *c = t->config;
    if (c->teacher.backend == TEACHER_OPENAI)
        return prompt_limit_refuses(c, prompt->data, prompt->n);
    return c->prompt.max_prompt_tokens > 0 && n_tokens > c->prompt.max_prompt_tokens;
}

rt_status dry_teacher_prompt(dry_teacher *t, const char *input, bool counts, rt_buf *prompt,
                             uint64_t *n_tokens, rt_error *err)
{
    if (dry_teacher_is_recorded(t)) return RT_OK;
    rt_status st = prompt_profile_render(t->prompts, input, prompt, err);
    if (st == RT_OK) st = count_tokens(t, prompt->data, prompt->n, n_tokens, err);
    if (st != RT_OK || !counts) return st;
    t->n_sampled++;
    t->n_tokens_sum += (double)*n_tokens;
    t->n_tokens_max = RT_MAX(t->n_tokens_max, *n_tokens);
    t->n_too_long += is_too_long(t, prompt, *n_tokens);
    return RT_OK;
}

double dry_teacher_prompt_mean(const dry_teacher *t)
{
    return t->n_sampled == 0 ? 0 : t->n_tokens_sum / (double)t->n_sampled;
}

projection dry_teacher_project(const dry_teacher *t, uint64_t n_rows)
{
    const config *c = t->config;
    bool over_http = c->teacher.backend == TEACHER_OPENAI;
    if (dry_teacher_is_recorded(t)) return (projection){0};
    return project(&(projection_basis){
        .n_rows = n_rows,
        .n_texts = c->quality.samples,
        .n_choices = over_http ? c->teacher.choices_max : 1,
        .two_step = over_http && c->teacher.two_step,
        .prompt_tokens_mean = dry_teacher_prompt_mean(t),
        .answer_tokens_likely = t->answer_likely,
        .answer_tokens_max = c->teacher.max_new_tokens,
        .attempts_max = c->teacher.attempts_max,
        .label_given = c->prompt.label_given[0] != '\0',
        .price_input = c->limits.price_input,
        .price_output = c->limits.price_output,
    });
}
