#include "worker/evaluate/student_answers.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/nn/beam.h"
#include "common/text/tokenizer.h"
#include "common/text/utf8.h"
#include "worker/runtime/model_tokenizer.h"

struct answering_student {
    model *model;
    tokenizer *tokenizer;
};

void answering_student_close(answering_student *s)
{
    if (s == NULL) return;
    model_free(s->model);
    tokenizer_free(s->tokenizer);
    free(s);
}

rt_status answering_student_open(const char *folder, size_t n_threads, bool halves,
                                 answering_student **out, rt_error *err)
{
    rt_status st = RT_OK;
    answering_student *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "student %s", folder);
    if (!rt_fs_exists(folder)) {
        st = rt_fail(err, RT_NOTFOUND,
                     "%s: no such folder, expected a student's (`retort export` writes one)",
                     folder);
        goto out;
    }
    nn_set_threads(n_threads);
    if ((st = model_tokenizer_load(folder, &s->tokenizer, err)) != RT_OK) goto out;
    if ((st = hf_model_load(folder, &s->model, err)) != RT_OK) goto out;
    model_decode_in_halves(s->model, halves);
    size_t n_rows = model_get_config(s->model)->n_vocab;
    if (tokenizer_size(s->tokenizer) > n_rows) {
        st = rt_fail(err, RT_CORRUPT, "%s: the tokenizer has %zu pieces, the model only %zu rows",
                     folder, tokenizer_size(s->tokenizer), n_rows);
        goto out;
    }
    *out = s;
    s = NULL;
out:
    answering_student_close(s);
    return st;
}

void student_answers_free(student_answer *answers, size_t n)
{
    for (size_t i = 0; answers != NULL && i < n; i++) {
        free(answers[i].raw);
        free(answers[i].label);
        free(answers[i].rationale);
        memset(&answers[i], 0, sizeof answers[i]);
    }
}

/* An input as tokens, and where its answer belongs. */
typedef struct asked {
    id_list ids;
    size_t i_answer;
} asked;

static int by_length(const void *a, const void *b)
{
    const asked *x = a, *y = b;
    if (x->ids.n != y->ids.n) return x->ids.n < y->ids.n ? -1 : 1;
    return x->i_answer < y->i_answer ? -1 : x->i_answer > y->i_answer;
}

static void asked_free(asked *list, size_t n)
{
    for (size_t i = 0; list != NULL && i < n; i++) id_list_free(&list[i].ids);
    free(list);
}

static rt_status encode_input(const answering_student *s, student_task task, const char *input,
                              id_list *out, rt_error *err)
{
    const model_config *c = model_get_config(s->model);
    rt_buf prompt = {0};
    rt_status st = task_prompt(task, input, &prompt, err);
    if (st == RT_OK)
        st = tokenizer_encode_prompt(s->tokenizer, prompt.data, prompt.n,
                                     model_config_has_encoder(c), model_config_prompt_id(c), out,
                                     err);
    rt_buf_free(&prompt);
    return st;
}

static bool set_text(char **out, const char *text)
{
    *out = strdup(text);
    return *out != NULL;
}

/* Prompts that fit go to *list, the others get their answer at once. */
static rt_status encode_inputs(const answering_student *s, const answer_settings *how,
                               const char *const *inputs, size_t n, student_answer *answers,
                               asked *list, size_t *n_list, rt_error *err)
{
    size_t n_most = model_get_config(s->model)->seq_len_max - 1;
    for (size_t i = 0; i < n; i++) {
        id_list ids = {0};
        rt_status st = encode_input(s, how->task, inputs[i], &ids, err);
        if (st != RT_OK) {
            id_list_free(&ids);
            return st;
        }
        answers[i].n_prompt_tokens = ids.n;
        if (ids.n <= n_most) {
            list[(*n_list)++] = (asked){.ids = ids, .i_answer = i};
            continue;
        }
        id_list_free(&ids);
        answers[i].problem = "prompt_too_long";
        if (!set_text(&answers[i].raw, "")) return rt_fail(err, RT_NOMEM, "answer of a student");
    }
    return RT_OK;
}

static char *trimmed(const char *text)
{
    size_t first = strspn(text, " \t\r\n");
    size_t n = strlen(text + first);
    while (n > 0 && strchr(" \t\r\n", text[first + n - 1]) != NULL) n--;
    return n == 0 ? NULL : rt_strndup(text + first, n);
}

static rt_status read_label(const answer_settings *how, const char *input, bool truncated,
                            student_answer *a, rt_error *err)
{
    parse_status status = PARSE_OK;
    rt_status st = RT_OK;
    if (how->task == TASK_SOLVE) {
        parsed_answer parsed = {0};
        st =
            answer_parse(&how->spec->rules, input, a->raw, strlen(a->raw), truncated, &parsed, err);
        if (st != RT_OK) return st;
        status = parsed.status;
        a->label = parsed.label;
        a->rationale = parsed.rationale;
    } else if (how->task == TASK_PREDICT) {
        st = answer_canonical(&how->spec->rules, input, a->raw, &status, &a->label, err);
        if (st != RT_OK) return st;
    } else {
        a->rationale = trimmed(a->raw);
        status = a->rationale == NULL ? PARSE_EMPTY : PARSE_OK;
    }
    if (status != PARSE_OK) a->problem = parse_status_name(status);
    return RT_OK;
}

static rt_status fill_answer(const answering_student *s, const answer_settings *how,
                             const char *input, const generated *g, student_answer *a,
                             rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf text = {0}, repaired = {0};
    bool truncated = g->finish == FINISH_LENGTH;
    if ((st = tokenizer_decode_output(s->tokenizer, g->ids, g->n_ids, &text, err)) != RT_OK)
        goto out;
    if (text.n > 0 && (st = utf8_repair(text.data, text.n, &repaired, err)) != RT_OK) goto out;
    for (size_t i = 0; i < repaired.n; i++)
        if (repaired.data[i] == '\0') repaired.data[i] = ' ';
    if (!set_text(&a->raw, repaired.n > 0 ? repaired.data : "")) {
        st = rt_fail(err, RT_NOMEM, "answer of a student");
        goto out;
    }
    a->finish_reason = truncated ? "length" : "stop";
    a->sum_logprob = g->sum_logprob;
    a->n_new_tokens = g->n_ids;
    st = read_label(how, input, truncated, a, err);
out:
    rt_buf_free(&text);
    rt_buf_free(&repaired);
    return st;
}

static rt_status answer_batch(answering_student *s, const answer_settings *how,
                              const char *const *inputs, const asked *list, size_t n,
                              student_answer *answers, rt_error *err)
{
    rt_status st = RT_OK;
    beam_options options = {.n_beams = RT_MAX(how->beams, (size_t)1),
                            .max_new_tokens = how->max_new_tokens,
                            .length_penalty = how->length_penalty};
    generate_prompt *prompts = rt_calloc(n, sizeof *prompts);
    generated *outputs = rt_calloc(n, sizeof *outputs);
    if (prompts == NULL || outputs == NULL) {
        st = rt_fail(err, RT_NOMEM, "batch of %zu inputs", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        prompts[i] = (generate_prompt){.ids = list[i].ids.ids, .n_ids = list[i].ids.n};
    if ((st = beam_search(s->model, prompts, n, &options, outputs, err)) != RT_OK) goto out;
    for (size_t i = 0; i < n && st == RT_OK; i++)
        st = fill_answer(s, how, inputs[list[i].i_answer], &outputs[i], &answers[list[i].i_answer],
                         err);
    generated_free(outputs, n);
out:
    free(prompts);
    free(outputs);
    return st;
}

rt_status answer_inputs(answering_student *s, const answer_settings *how, const char *const *inputs,
                        size_t n, student_answer *answers, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_list = 0;
    asked *list = rt_calloc(n, sizeof *list);
    student_answer *fresh = rt_calloc(n, sizeof *fresh);
    if (list == NULL || fresh == NULL) {
        st = rt_fail(err, RT_NOMEM, "answers of %zu inputs", n);
        goto out;
    }
    st = encode_inputs(s, how, inputs, n, fresh, list, &n_list, err);
    if (st != RT_OK) goto out;
    qsort(list, n_list, sizeof *list, by_length);
    for (size_t i = 0; i < n_list; i += how->batch) {
        size_t n_batch = RT_MIN(how->batch, n_list - i);
        if ((st = answer_batch(s, how, inputs, list + i, n_batch, fresh, err)) != RT_OK) goto out;
        size_t n_done = n - n_list + i + n_batch;
        if (how->progress != NULL && !how->progress(how->progress_context, n_done, n)) {
            st = rt_fail(err, RT_CANCELLED, "stopped after %zu of %zu inputs", n_done, n);
            goto out;
        }
    }
    memcpy(answers, fresh, n * sizeof *answers);
    memset(fresh, 0, n * sizeof *fresh);
out:
    student_answers_free(fresh, n);
    free(fresh);
    asked_free(list, n_list);
    return st;
}
