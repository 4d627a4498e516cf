/* Teachers that need no server: recorded texts and models of our own; and the prompts of any. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/text_lengths.h"
#include "common/ckpt/hf_model.h"
#include "worker/runtime/model_tokenizer.h"
#include "worker/teacher/openai/prompt_limit.h"
#include "worker/teacher/run.h"

#define PROMPTS_MAX 500 /* rendered and counted */
#define BYTES_OF_A_TOKEN \
    4                   /* of running text in Latin letters; others have more bytes, and more
                                 tokens */
#define GROUP_SEQS   64 /* decoded together by a native teacher */
#define ROWS_AT_ONCE 256

void teacher_says(doctor_teacher *t, const char *what, finding f)
{
    char check[40];
    snprintf(check, sizeof check, "%s.%s", t->name, what);
    report_add(t->d->report, check, f);
}

/* ---- recorded ---- */

/* Rows of the sample that the recording answers. */
static rt_status count_covered(backend *b, const corpus_sample *s, uint64_t *out, rt_error *err)
{
    static const backend_sampling sampling = {.top_p = 1};
    backend_request requests[ROWS_AT_ONCE];
    backend_answer answers[ROWS_AT_ONCE];
    *out = 0;
    for (size_t first = 0, n; first < s->n; first += n) {
        n = RT_MIN(s->n - first, (size_t)ROWS_AT_ONCE);
        memset(requests, 0, sizeof requests);
        for (size_t i = 0; i < n; i++)
            requests[i] = (backend_request){
                .input = s->inputs[first + i], .source_id = s->source_ids[first + i], .prompt = ""};
        rt_status st = backend_complete(b, requests, n, &sampling, answers, err);
        if (st != RT_OK) return st;
        for (size_t i = 0; i < n; i++) *out += answers[i].reason == NULL;
        backend_answers_free(answers, n);
    }
    return RT_OK;
}

static finding coverage_verdict(uint64_t n_covered, const corpus_sample *s)
{
    finding f;
    const char *all = s->is_whole ? "" : "first ";
    if (s->n == 0)
        f = finding_ok("the recorded texts can be read");
    else if (n_covered == 0)
        f = finding_fail(RT_CORRUPT, "none of the %s%zu rows has a recorded text", all, s->n);
    else if (n_covered < s->n)
        f = finding_warn("%" PRIu64 " of the %s%zu rows have a recorded text; the others will be "
                         "rejected as not_recorded",
                         n_covered, all, s->n);
    else
        f = finding_ok("all of the %s%zu rows have a recorded text", all, s->n);
    finding_expect(&f, "a recorded row for each row of the corpus, by teacher.match");
    finding_fix(&f, "correct teacher.match_field (it must give what corpus.input gives), or record "
                    "the others");
    return f;
}

void check_recorded(doctor_teacher *t)
{
    rt_error err = {0};
    backend *b = NULL;
    uint64_t n_covered = 0;
    rt_status st = backend_open(t->config, &b, &err);
    if (st == RT_OK) st = count_covered(b, &t->d->rows, &n_covered, &err);
    if (st == RT_NOTFOUND) return; /* which the files have reported */
    teacher_says(t, "recorded",
                 st == RT_OK ? coverage_verdict(n_covered, &t->d->rows)
                             : finding_of_error(&err, "correct the teacher's files "
                                                      "or templates"));
    backend_close(b);
}

/* ---- native ---- */

static void take_memory(doctor_teacher *t, const model_config *c, uint64_t n_params)
{
    uint64_t tokens =
        RT_MIN((uint64_t)c->seq_len_max, t->prompt_tokens_max + t->config->teacher.max_new_tokens);
    t->d->memory.teacher.n_params += n_params; /* of both teachers, in one process */
    t->d->memory.teacher.n_layers =
        RT_MAX(t->d->memory.teacher.n_layers, (uint64_t)(c->n_layers + c->n_decoder_layers));
    t->d->memory.teacher.d_key_value =
        RT_MAX(t->d->memory.teacher.d_key_value, (uint64_t)(c->n_kv_heads * c->d_head));
    t->d->memory.teacher_tokens =
        RT_MAX(t->d->memory.teacher_tokens,
               tokens * RT_MIN(t->config->label.shard_size, (uint64_t)GROUP_SEQS));
}

static rt_status look_at_model(doctor_teacher *t, finding *out, rt_error *err)
{
    model_config shape;
    param_table table = {0};
    const char *folder = t->config->teacher.model;
    rt_status st = model_tokenizer_load(folder, &t->tokenizer, err);
    if (st == RT_OK) st = hf_config_read(folder, &shape, err);
    if (st == RT_OK) st = param_table_build(&shape, &table, err);
    if (st == RT_OK) st = hf_weights_check(folder, &table, err);
    if (st == RT_OK && tokenizer_size(t->tokenizer) > shape.n_vocab)
        st = rt_fail(err, RT_CORRUPT, "%s: the tokenizer has %zu pieces, the model only %zu rows",
                     folder, tokenizer_size(t->tokenizer), shape.n_vocab);
    if (st == RT_OK) {
        t->prompt_tokens_max = native_prompt_tokens_max(t->config, shape.seq_len_max);
        t->prompt_limit = t->config->prompt.max_prompt_tokens > 0
                              ? "prompt.max_prompt_tokens and the model's length"
                              : "the model's length less teacher.max_new_tokens";
        take_memory(t, &shape, table.n_total);
        *out = finding_ok("%s: %.1f million parameters, %zu token ids, %zu pieces, %zu tokens long",
                          folder, (double)table.n_total / 1e6, shape.n_vocab,
                          tokenizer_size(t->tokenizer), shape.seq_len_max);
        finding_expect(out, "config.json, weights of these shapes, and a tokenizer that fits");
    }
    param_table_free(&table);
    return st;
}

void check_native(doctor_teacher *t)
{
    rt_error err = {0};
    finding f;
    if (access(t->config->teacher.model, R_OK) != 0) return; /* reported with the files */
    if (look_at_model(t, &f, &err) != RT_OK) {
        f = finding_of_error(&err, "set teacher.model to a whole model folder");
        finding_expect(&f, "config.json, weights of these shapes, and a tokenizer that fits");
    }
    teacher_says(t, "model", f);
}

/* ---- prompts ---- */

/* A server's prompts are held to the settings' limit by the most tokens that they can be; then that
 * count decides, and is no estimate. */
static rt_status measure_prompt(doctor_teacher *t, const rt_buf *prompt, text_lengths *l,
                                rt_error *err)
{
    uint64_t limit = t->prompt_tokens_max;
    const config *c = t->config;
    if (c->teacher.backend != TEACHER_OPENAI || c->prompt.max_prompt_tokens == 0)
        return text_lengths_add(l, t->tokenizer, prompt->data, prompt->n, 1, limit, err);
    text_lengths_take(l, prompt_limit_count(c, prompt->data, prompt->n), limit);
    return RT_OK;
}

static rt_status measure_prompts(doctor_teacher *t, const prompt_profile *prompts, text_lengths *l,
                                 rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf prompt = {0};
    const corpus_sample *s = &t->d->rows;
    for (size_t i = 0; st == RT_OK && i < RT_MIN(s->n, (size_t)PROMPTS_MAX); i++) {
        rt_buf_clear(&prompt);
        st = prompt_profile_render(prompts, s->inputs[i], &prompt, err);
        if (st == RT_OK) st = measure_prompt(t, &prompt, l, err);
    }
    rt_buf_free(&prompt);
    return st;
}

void check_prompt(doctor_teacher *t)
{
    rt_error err = {0};
    prompt_profile *prompts = NULL;
    text_lengths lengths = {0};
    bool is_sent = t->config->teacher.backend != TEACHER_RECORDED;
    rt_status st = labeller_prompts(t->config, &prompts, &err);
    if (st == RT_OK && is_sent) st = measure_prompts(t, prompts, &lengths, &err);
    if (st == RT_NOTFOUND) goto out; /* which the files have reported */
    if (st != RT_OK)
        teacher_says(t, "prompt", finding_of_error(&err, "correct the section prompt"));
    else if (is_sent && lengths.n > 0)
        teacher_says(t, "prompt", prompt_verdict(&lengths, t->prompt_tokens_max, t->prompt_limit));
out:
    prompt_profile_free(prompts);
}

/* ---- both ---- */

static void check_teacher(doctor *d, const config *c, const char *name)
{
    doctor_teacher t = {.d = d, .config = c, .name = name, .prompt_limit = ""};
    uint64_t longest = c->teacher.max_new_tokens * BYTES_OF_A_TOKEN;
    d->answer_bytes_max = RT_MAX(d->answer_bytes_max, longest);
    if (c->teacher.backend == TEACHER_OPENAI && c->prompt.max_prompt_tokens > 0) {
        t.prompt_tokens_max = c->prompt.max_prompt_tokens;
        t.prompt_limit = "prompt.max_prompt_tokens";
    }
    switch (c->teacher.backend) {
    case TEACHER_RECORDED: check_recorded(&t); break;
    case TEACHER_NATIVE: check_native(&t); break;
    case TEACHER_OPENAI:
        d->has_server = true;
        check_server(&t);
        break;
    }
    check_prompt(&t);
    tokenizer_free(t.tokenizer);
}

void check_teachers(doctor *d)
{
    rt_error err = {0};
    config *second = NULL;
    bool has_teacher = d->config->teacher.files.n > 0 || d->config->teacher.model[0] != '\0';
    if (has_teacher) check_teacher(d, d->config, "teacher");
    if (d->config->escalate.config[0] == '\0') return;
    /* One that cannot be read is among the files that were reported. */
    if (config_load_second(d->config, &second, &err) == RT_OK) check_teacher(d, second, "escalate");
    config_free(second);
}
