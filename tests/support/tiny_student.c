#include "tests/support/tiny_student.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/hf_model.h"
#include "common/nn/optim/adamw.h"
#include "common/text/tokenizer.h"

#define LESSONS_MAX 32

static void must(rt_status st, const rt_error *err)
{
    if (st == RT_OK) return;
    fprintf(stderr, "tiny student: %s\n", err->text);
    abort();
}

typedef struct lesson_source {
    const tiny_lesson *lessons;
    size_t n, i;
} lesson_source;

static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    lesson_source *s = context;
    (void)err;
    if (s->i == 2 * s->n) return RT_END;
    const tiny_lesson *l = &s->lessons[s->i / 2];
    *text = s->i % 2 == 0 ? l->prompt : l->target;
    *n = strlen(*text);
    s->i++;
    return RT_OK;
}

static tokenizer *make_tokenizer(const char *folder, const tiny_lesson *lessons, size_t n)
{
    char path[1024];
    rt_error err = {0};
    tokenizer *t = NULL;
    lesson_source source = {.lessons = lessons, .n = n};
    tokenizer_training settings = {.bpe = true, .vocab_size = 400, .byte_fallback = true};
    snprintf(path, sizeof path, "%s/tokenizer.model", folder);
    must(tokenizer_train(&settings, next_sentence, &source, path, &err), &err);
    must(tokenizer_load(path, &t, &err), &err);
    return t;
}

/* All lessons as one packed batch: [bos] prompt, then target [eos]. */
static void pack(const tokenizer *t, const tiny_lesson *lessons, size_t n, id_list *ids,
                 packed_seq *seqs)
{
    rt_error err = {0};
    for (size_t i = 0; i < n; i++) {
        size_t first = ids->n;
        must(id_list_add(ids, tokenizer_bos(t), &err), &err);
        must(tokenizer_encode(t, lessons[i].prompt, strlen(lessons[i].prompt), ids, &err), &err);
        size_t n_prompt = ids->n - first;
        must(tokenizer_encode(t, lessons[i].target, strlen(lessons[i].target), ids, &err), &err);
        must(id_list_add(ids, tokenizer_eos(t), &err), &err);
        seqs[i] = (packed_seq){.first = first,
                               .n_prompt = n_prompt,
                               .n_target = ids->n - first - n_prompt,
                               .weight = 1.0f};
    }
}

static void learn(model *m, const packed_batch *batch, unsigned n_steps)
{
    static const adamw_settings settings = {0.9f, 0.95f, 1e-8f, 0.0f};
    rt_error err = {0};
    size_t n = model_table(m)->n_total;
    float *moments = rt_calloc(2 * n, sizeof *moments);
    double count = 0;
    for (size_t i = 0; i < batch->n_seqs; i++) count += (double)batch->seqs[i].n_target;
    loss_spec spec = {.n_tasks = 1, .tasks = {{.weight = 1.0f, .count = count}}};
    RT_ASSERT(moments != NULL);
    for (unsigned step = 1; step <= n_steps; step++) {
        loss_sums sums = {0};
        must(model_gradient(m, batch, &spec, &sums, &err), &err);
        adamw_update(&settings, 0.01f, 1.0f, step, false, n, model_grads(m), model_weights(m),
                     moments, moments + n);
    }
    free(moments);
}

void tiny_student_write(const char *folder, const tiny_lesson *lessons, size_t n, unsigned n_steps)
{
    rt_error err = {0};
    model *m = NULL;
    id_list ids = {0};
    packed_seq seqs[LESSONS_MAX];
    char sha256[RT_SHA256_HEX_SIZE];
    RT_ASSERT(n <= LESSONS_MAX);
    tokenizer *t = make_tokenizer(folder, lessons, n);
    model_config shape = {.arch = MODEL_ARCH_LLAMA,
                          .n_vocab = tokenizer_size(t),
                          .d_model = 32,
                          .n_layers = 1,
                          .n_heads = 2,
                          .n_kv_heads = 2,
                          .d_head = 16,
                          .d_ff = 64,
                          .seq_len_max = TINY_SEQ_LEN_MAX,
                          .rope_theta = 10000.0f,
                          .norm_eps = 1e-5f,
                          .tied = true,
                          .bos_id = tokenizer_bos(t),
                          .eos_id = tokenizer_eos(t),
                          .pad_id = tokenizer_pad(t)};
    nn_set_threads(1);
    must(model_new(&shape, &m, &err), &err);
    param_table_init(model_table(m), &shape, 1, model_weights(m));
    pack(t, lessons, n, &ids, seqs);
    packed_batch batch = {.ids = ids.ids, .n_tokens = ids.n, .seqs = seqs, .n_seqs = n};
    learn(m, &batch, n_steps);
    must(hf_config_write(folder, &shape, TENSOR_F32, &err), &err);
    must(hf_weights_write(folder, model_table(m), model_weights(m), TENSOR_F32, sha256, &err),
         &err);
    id_list_free(&ids);
    model_free(m);
    tokenizer_free(t);
}
