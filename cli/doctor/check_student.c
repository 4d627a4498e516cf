/* The student: its tokenizer, its shape, and whether what it reads fits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/text_lengths.h"
#include "common/ckpt/hf_model.h"
#include "common/dataset/task_text.h"
#include "common/nn/param_table.h"
#include "worker/model_shape/model_shape.h"
#include "worker/runtime/model_tokenizer.h"
#include "worker/runtime/task_file.h"

#define INPUTS_MAX  500
#define CONTROL_IDS 2 /* bos and eos */

/* False when there will be none: then what follows cannot be looked at. */
static bool check_tokenizer(doctor *d, tokenizer **out, vocabulary *v)
{
    const tokenizer_config *k = &d->config->tokenizer;
    rt_error err = {0};
    finding f;
    if (k->model[0] == '\0') { /* of its own models the four symbols come first */
        *v =
            (vocabulary){.n_vocab = (uint32_t)k->vocab_size, .bos_id = 1, .eos_id = 2, .pad_id = 3};
        f = finding_ok("a new one of up to %" PRIu64 " pieces will be trained", k->vocab_size);
        report_add(d->report, "tokenizer", f);
        return true;
    }
    if (access(k->model, R_OK) != 0) return false; /* reported with the files */
    if (tokenizer_load(k->model, out, &err) != RT_OK) {
        f = finding_of_error(&err, "set tokenizer.model to a sentencepiece model, or leave it "
                                   "empty: then one is trained");
        finding_expect(&f, "a sentencepiece model");
        report_add(d->report, "tokenizer", f);
        return false;
    }
    *v = (vocabulary){.n_vocab = (uint32_t)tokenizer_size(*out),
                      .bos_id = tokenizer_bos(*out),
                      .eos_id = tokenizer_eos(*out),
                      .pad_id = tokenizer_pad(*out)};
    f = finding_ok("%s: %" PRIu32 " pieces", k->model, v->n_vocab);
    finding_expect(&f, "a sentencepiece model");
    report_add(d->report, "tokenizer", f);
    return true;
}

/* Pieces of another tokenizer mean nothing to published weights. */
static bool is_another_tokenizer(const config *c, const tokenizer *t)
{
    tokenizer *own = NULL;
    bool differs = false;
    if (t == NULL) return true;
    if (model_tokenizer_load(c->student.init_from, &own, NULL) == RT_OK)
        differs = strcmp(tokenizer_sha256(own), tokenizer_sha256(t)) != 0;
    tokenizer_free(own);
    return differs;
}

static finding shape_verdict(const config *c, const model_config *s, const param_table *table,
                             const tokenizer *t)
{
    finding f;
    const char *from = c->student.init_from;
    if (from[0] != '\0' && is_another_tokenizer(c, t)) {
        f = finding_warn("%s begins with the weights of %s, but not with its tokenizer",
                         "the student", from);
        finding_expect(&f, "the tokenizer of that model");
        finding_fix(&f, "set tokenizer.model to the tokenizer in that folder");
        return f;
    }
    f = finding_ok("%.2f million parameters: %zu layers of %zu, %zu heads, %zu token ids%s%s",
                   (double)table->n_total / 1e6, s->n_layers + s->n_decoder_layers, s->d_model,
                   s->n_heads, s->n_vocab, from[0] != '\0' ? ", begins with " : "", from);
    finding_expect(&f, "a shape that makes a model, of the tokenizer's vocabulary");
    return f;
}

static void keep_shape(doctor *d, const model_config *s, const param_table *table)
{
    d->n_params = table->n_total;
    d->memory.student = (memory_model){.n_params = table->n_total,
                                       .d_model = s->d_model,
                                       /* of both stacks, though a token runs through one */
                                       .n_layers = s->n_layers + s->n_decoder_layers,
                                       .d_attention = s->n_heads * s->d_head,
                                       .d_key_value = s->n_kv_heads * s->d_head,
                                       .d_ff = s->d_ff};
}

static bool check_shape(doctor *d, const vocabulary *v, const tokenizer *t)
{
    const char *from = d->config->student.init_from;
    rt_error err = {0};
    model_config shape;
    param_table table = {0};
    if (from[0] != '\0' && access(from, R_OK) != 0) return false; /* reported with the files */
    rt_status st = model_shape_of(d->config, v, &shape, &err);
    if (st == RT_OK) st = param_table_build(&shape, &table, &err);
    if (st == RT_OK && from[0] != '\0') {
        st = hf_weights_check(from, &table, &err);
        if (st != RT_OK) st = rt_wrap(&err, st, "student.init_from");
    }
    if (st == RT_OK) {
        keep_shape(d, &shape, &table);
        report_add(d->report, "student", shape_verdict(d->config, &shape, &table, t));
    } else {
        finding f = finding_of_error(&err, "correct the section student");
        finding_expect(&f, "a shape that makes a model, of the tokenizer's vocabulary");
        report_add(d->report, "student", f);
    }
    param_table_free(&table);
    return st == RT_OK;
}

static void check_lengths(doctor *d, const tokenizer *t)
{
    const corpus_sample *s = &d->rows;
    student_task task = student_answers_by(d->config);
    uint64_t seq_len_max = d->config->student.seq_len_max;
    text_lengths lengths = {0};
    rt_buf prompt = {0};
    rt_error err = {0};
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < RT_MIN(s->n, (size_t)INPUTS_MAX); i++) {
        rt_buf_clear(&prompt);
        st = task_prompt(task, s->inputs[i], &prompt, &err);
        /* One token of answer at least. */
        if (st == RT_OK)
            st = text_lengths_add(&lengths, t, prompt.data, prompt.n, CONTROL_IDS, seq_len_max - 1,
                                  &err);
    }
    rt_buf_free(&prompt);
    if (st != RT_OK)
        report_add(d->report, "student.length", finding_of_error(&err, "look at the corpus"));
    else if (lengths.n > 0)
        report_add(d->report, "student.length", student_length_verdict(&lengths, seq_len_max));
}

void check_student(doctor *d)
{
    tokenizer *t = NULL;
    vocabulary v;
    if (check_tokenizer(d, &t, &v)) {
        (void)check_shape(d, &v, t);
        check_lengths(d, t);
    }
    tokenizer_free(t);
}
