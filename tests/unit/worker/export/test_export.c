#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/gguf_model.h"
#include "common/ckpt/hf_model.h"
#include "common/text/tokenizer.h"
#include "tests/support/temp_folder.h"
#include "worker/export/export.h"
#include "worker/param_server/shard_files.h"
#include "worker/runtime/model_tokenizer.h"
#include "worker/runtime/task_file.h"

/* A run's folder with a tokenizer and committed checkpoints of initial weights. */
typedef struct toy_run {
    char *folder;
    char run_dir[256], output[300];
    config *c;
    uint32_t n_vocab;
    char tokenizer_sha256[RT_SHA256_HEX_SIZE];
} toy_run;

static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    static const char *const words[] = {"one and two make three", "predict: four plus five\n",
                                        "the answer is nine"};
    unsigned *i = context;
    (void)err;
    if (*i == 60) return RT_END;
    *text = words[(*i)++ % RT_COUNT(words)];
    *n = strlen(*text);
    return RT_OK;
}

static void make_tokenizer(toy_run *r)
{
    char path[400];
    unsigned n = 0;
    tokenizer *t = NULL;
    rt_error err = {0};
    tokenizer_training how = {.bpe = true, .vocab_size = 60};
    snprintf(path, sizeof path, "%s/tokenizer.model", r->run_dir);
    cr_assert_eq(tokenizer_train(&how, next_sentence, &n, path, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    r->n_vocab = (uint32_t)tokenizer_size(t);
    snprintf(r->tokenizer_sha256, sizeof r->tokenizer_sha256, "%s", tokenizer_sha256(t));
    tokenizer_free(t);
}

/* Written by two shards, as the parameter server does. */
static void make_checkpoint(const toy_run *r, uint64_t version)
{
    char root[300], partial[400];
    ckpt_file files[4];
    rt_error err = {0};
    ckpt_manifest manifest = {.version = version, .n_shards = 2, .files = files, .n_files = 4};
    snprintf(root, sizeof root, "%s/checkpoints", r->run_dir);
    memset(manifest.fingerprint, 'a', 32);
    memcpy(manifest.tokenizer_sha256, r->tokenizer_sha256, sizeof r->tokenizer_sha256);
    cr_assert_eq(rt_fs_mkdirs(root, NULL), RT_OK);
    cr_assert_eq(ckpt_folder(root, version, true, partial, sizeof partial, NULL), RT_OK);
    for (uint32_t i = 0; i < 2; i++) {
        shard_model *held = NULL;
        wire_server_order order = {.folder = "",
                                   .n_shards = 2,
                                   .n_vocab = r->n_vocab,
                                   .bos_id = 1,
                                   .eos_id = 2,
                                   .pad_id = 3};
        cr_assert_eq(shard_load(r->c, i, &order, &held, &err), RT_OK, "%s", err.text);
        if (held->slice.n_floats > 0) held->weights->floats[0] = (float)version;
        cr_assert_eq(shard_save(held, version, partial, files + 2 * i, &err), RT_OK, "%s",
                     err.text);
        shard_model_free(held);
    }
    cr_assert_eq(ckpt_commit(root, &manifest, &err), RT_OK, "%s", err.text);
}

static toy_run toy_run_of(const char *student)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml,
             "name: toy\nseed: 4\n"
             "task: {name: sums, answer: number, markers: [\"#\"]}\n"
             "corpus: {files: [a.jsonl]}\n"
             "teacher: {files: [b.jsonl], match_field: \"{input}\"}\n"
             "train: {preset: step-by-step}\n"
             "student: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 24, seq_len_max: 32, %s}\n",
             student);
    toy_run r = {.folder = temp_folder_new()};
    rt_error err = {0};
    cr_assert_eq(config_parse("t.yaml", yaml, strlen(yaml), NULL, &r.c, &err), RT_OK, "%s",
                 err.text);
    snprintf(r.run_dir, sizeof r.run_dir, "%s/run", r.folder);
    snprintf(r.output, sizeof r.output, "%s/student", r.folder);
    cr_assert_eq(rt_fs_mkdirs(r.run_dir, NULL), RT_OK);
    make_tokenizer(&r);
    make_checkpoint(&r, 10);
    make_checkpoint(&r, 20);
    temp_folder_write_text(r.folder, "run/checkpoints/best.json",
                           "{\"version\": 10, \"metric\": \"loss\", \"value\": 1.5}");
    return r;
}

static toy_run toy_run_new(void)
{
    return toy_run_of("tied: true");
}

static void toy_run_free(toy_run *r)
{
    temp_folder_free(r->folder);
    config_free(r->c);
}

static rt_status export_toy(const toy_run *r, export_pick pick, uint64_t number, tensor_dtype dtype,
                            export_result *out, rt_error *err)
{
    export_request ask = {.run_dir = r->run_dir,
                          .output = r->output,
                          .which = {.pick = pick, .number = number},
                          .dtype = dtype};
    return export_student(r->c, &ask, out, err);
}

/* Names in the folder that do not belong to the toy run. */
static unsigned count_strangers(const toy_run *r)
{
    unsigned n = 0;
    DIR *dir = opendir(r->folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.' && strcmp(e->d_name, "run") != 0 &&
             strcmp(e->d_name, "student") != 0;
    closedir(dir);
    return n;
}

Test(export, best_version_becomes_a_folder_that_loads)
{
    static const char *const names[] = {
        "model.safetensors",      "config.json", "tokenizer.model", "tokenizer_config.json",
        "generation_config.json", "retort.json", "README.md"};
    toy_run r = toy_run_new();
    export_result done;
    rt_error err = {0};
    model *m = NULL;
    tokenizer *t = NULL;
    student_spec spec = {0};
    char path[400], sha256[RT_SHA256_HEX_SIZE];
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_OK, "%s", err.text);
    cr_expect_eq(done.version, 10);
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", r.output, names[i]);
        cr_expect(rt_fs_exists(path), "%s", names[i]);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", r.output);
    cr_assert_eq(rt_sha256_file(path, sha256, NULL), RT_OK);
    cr_expect_str_eq(done.weights_sha256, sha256);
    cr_assert_eq(hf_model_load(r.output, &m, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_weights(m)[0], 10.0f);
    cr_expect_eq(done.n_parameters, model_table(m)->n_total);
    cr_assert_eq(model_tokenizer_load(r.output, &t, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(tokenizer_sha256(t), r.tokenizer_sha256);
    cr_assert_eq(student_spec_read(r.output, &spec, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(spec.task_name, "sums");
    cr_expect_eq(count_strangers(&r), 0);
    student_spec_free(&spec);
    tokenizer_free(t);
    model_free(m);
    toy_run_free(&r);
}

Test(export, same_checkpoint_gives_the_same_bytes_and_replaces_an_earlier_export)
{
    toy_run r = toy_run_new();
    export_result first, second, other;
    rt_error err = {0};
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &first, &err), RT_OK, "%s", err.text);
    temp_folder_write_text(r.folder, "student/left-over", "of an older version");
    cr_assert_eq(export_toy(&r, EXPORT_NUMBER, 10, TENSOR_F32, &second, &err), RT_OK, "%s",
                 err.text);
    cr_expect_str_eq(first.weights_sha256, second.weights_sha256);
    cr_expect_not(rt_fs_exists(temp_folder_path(r.folder, "student/left-over")));
    cr_assert_eq(export_toy(&r, EXPORT_LATEST, 0, TENSOR_F32, &other, &err), RT_OK, "%s", err.text);
    cr_expect_eq(other.version, 20);
    cr_expect_str_neq(first.weights_sha256, other.weights_sha256);
    cr_expect_eq(count_strangers(&r), 0);
    toy_run_free(&r);
}

Test(export, a_t5_gets_the_names_that_its_loaders_look_for)
{
    toy_run r = toy_run_of("arch: t5, tied: false");
    export_result done;
    rt_error err = {0};
    model *m = NULL;
    tokenizer *t = NULL;
    rt_buf text = {0};
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_OK, "%s", err.text);
    cr_expect(rt_fs_exists(temp_folder_path(r.folder, "student/spiece.model")));
    cr_expect_not(rt_fs_exists(temp_folder_path(r.folder, "student/tokenizer.model")));
    cr_assert_eq(hf_model_load(r.output, &m, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_get_config(m)->arch, MODEL_ARCH_T5);
    cr_expect_eq(model_get_config(m)->decoder_start_id, 3, "pad");
    cr_assert_eq(model_tokenizer_load(r.output, &t, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(tokenizer_sha256(t), r.tokenizer_sha256);
    temp_folder_read(r.folder, "student/tokenizer_config.json", &text);
    cr_expect_not_null(memmem(text.data, text.n, "\"T5Tokenizer\"", 13));
    cr_expect_null(memmem(text.data, text.n, "bos_token", 9));
    rt_buf_free(&text);
    temp_folder_read(r.folder, "student/README.md", &text);
    cr_expect_not_null(memmem(text.data, text.n, "T5: 1 encoder and 1 decoder layers", 34));
    cr_expect_not_null(memmem(text.data, text.n, "{input}\\n</s>", 13));
    rt_buf_free(&text);
    tokenizer_free(t);
    model_free(m);
    toy_run_free(&r);
}

Test(export, a_gguf_file_holds_the_same_weights_the_task_and_a_chat_template)
{
    toy_run r = toy_run_new();
    char path[400], sha256[RT_SHA256_HEX_SIZE];
    export_result done, folder;
    rt_error err = {0};
    gguf_model *g = NULL;
    model *m = NULL;
    const char *text;
    size_t n;
    student_spec spec = {0};
    snprintf(path, sizeof path, "%s/run/s.gguf", r.folder);
    export_request ask = {.run_dir = r.run_dir,
                          .output = path,
                          .which = {.pick = EXPORT_BEST},
                          .to_gguf = true,
                          .type = GGUF_TENSOR_F32};
    cr_assert_eq(export_student(r.c, &ask, &done, &err), RT_OK, "%s", err.text);
    cr_expect_eq(done.version, 10);
    cr_assert_eq(rt_sha256_file(path, sha256, NULL), RT_OK);
    cr_expect_str_eq(done.weights_sha256, sha256);
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &folder, &err), RT_OK, "%s", err.text);
    cr_assert_eq(hf_model_load(r.output, &m, &err), RT_OK, "%s", err.text);
    cr_assert_eq(gguf_model_open(path, &g, &err), RT_OK, "%s", err.text);
    float *weights = rt_calloc(model_table(m)->n_total, sizeof *weights);
    weight_source source = gguf_model_source(g);
    weight_source_read_all(&source, weights);
    cr_expect_eq(memcmp(weights, model_weights(m), model_table(m)->n_total * sizeof *weights), 0);
    const gguf *f = gguf_model_file(g);
    cr_expect(gguf_text_is(gguf_find(f, "general.name"), "toy"));
    cr_expect(gguf_text_is(gguf_find(f, "tokenizer.chat_template"),
                           "{{ 'predict: ' + messages[-1]['content'] + '\\n' }}"));
    cr_assert(gguf_text(gguf_find(f, GGUF_KEY_TASK), &text, &n));
    cr_assert_eq(student_spec_parse("task", text, n, &spec, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(spec.task_name, "sums");
    student_spec_free(&spec);
    /* what stands there and is no GGUF file stays */
    temp_folder_write_text(r.folder, "run/s.gguf", "mine");
    cr_expect_eq(export_student(r.c, &ask, &done, &err), RT_EXISTS);
    cr_expect_eq(count_strangers(&r), 0);
    free(weights);
    gguf_model_close(g);
    model_free(m);
    toy_run_free(&r);
}

Test(export, shards_load_as_one_student)
{
    toy_run r = toy_run_new();
    export_result done;
    rt_error err = {0};
    model *m = NULL;
    char path[400];
    export_request ask = {.run_dir = r.run_dir,
                          .output = r.output,
                          .which = {.pick = EXPORT_BEST},
                          .shard_bytes_max = 4000};
    cr_assert_eq(export_student(r.c, &ask, &done, &err), RT_OK, "%s", err.text);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", r.output);
    cr_expect(rt_fs_exists(path));
    cr_assert_eq(hf_model_load(r.output, &m, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_weights(m)[0], 10.0f);
    model_free(m);
    toy_run_free(&r);
}

Test(export, halves_the_weights_when_asked)
{
    toy_run r = toy_run_new();
    export_result done;
    rt_error err = {0};
    safetensors *file = NULL;
    char path[400];
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_BF16, &done, &err), RT_OK, "%s", err.text);
    snprintf(path, sizeof path, "%s/model.safetensors", r.output);
    cr_assert_eq(safetensors_open(path, &file, &err), RT_OK, "%s", err.text);
    cr_expect_eq(safetensors_entry(file, 0)->dtype, TENSOR_BF16);
    safetensors_close(file);
    toy_run_free(&r);
}

Test(export, without_a_score_the_newest_checkpoint_is_taken)
{
    toy_run r = toy_run_new();
    export_result done;
    rt_error err = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/checkpoints/best.json", r.run_dir);
    cr_assert_eq(remove(path), 0);
    cr_assert_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_OK, "%s", err.text);
    cr_expect_eq(done.version, 20);
    toy_run_free(&r);
}

Test(export, refuses_to_replace_a_folder_it_did_not_write)
{
    toy_run r = toy_run_new();
    export_result done;
    rt_error err = {0};
    cr_assert_eq(rt_fs_mkdirs(r.output, NULL), RT_OK);
    temp_folder_write_text(r.folder, "student/thesis.txt", "years of work");
    cr_expect_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_EXISTS);
    cr_expect_not_null(strstr(err.text, "--output"), "%s", err.text);
    cr_expect(rt_fs_exists(temp_folder_path(r.folder, "student/thesis.txt")));
    cr_expect_eq(count_strangers(&r), 0);
    toy_run_free(&r);
}

Test(export, damage_is_named_and_an_earlier_export_stays)
{
    toy_run r = toy_run_new();
    export_result done = {.version = 77};
    rt_error err = {0};
    rt_buf bytes = {0};
    const char *name = "run/checkpoints/step-10/model-00002-of-00002.safetensors";
    cr_assert_eq(export_toy(&r, EXPORT_LATEST, 0, TENSOR_F32, &done, &err), RT_OK, "%s", err.text);
    done.version = 77;
    temp_folder_read(r.folder, name, &bytes);
    bytes.data[bytes.n - 3] ^= 1;
    temp_folder_write(r.folder, name, bytes.data, bytes.n);
    cr_expect_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "model-00002-of-00002"), "%s", err.text);
    cr_expect_eq(done.version, 77, "untouched");
    cr_expect(rt_fs_exists(temp_folder_path(r.folder, "student/model.safetensors")));

    temp_folder_read(r.folder, "run/tokenizer.model", &bytes);
    bytes.data[bytes.n / 2] ^= 1;
    temp_folder_write(r.folder, "run/tokenizer.model", bytes.data, bytes.n);
    cr_expect_eq(export_toy(&r, EXPORT_LATEST, 0, TENSOR_F32, &done, &err), RT_CORRUPT, "%s",
                 err.text);
    cr_expect_eq(export_toy(&r, EXPORT_NUMBER, 11, TENSOR_F32, &done, &err), RT_NOTFOUND);
    temp_folder_write_text(r.folder, "run/checkpoints/best.json", "{\"version\": \"x\"}");
    cr_expect_eq(export_toy(&r, EXPORT_BEST, 0, TENSOR_F32, &done, &err), RT_CORRUPT);
    cr_expect_eq(count_strangers(&r), 0, "nothing is left behind");
    rt_buf_free(&bytes);
    toy_run_free(&r);
}

Test(export, versions_and_dtypes_are_read_from_text)
{
    export_version which;
    tensor_dtype dtype;
    cr_assert_eq(export_version_parse("best", &which, NULL), RT_OK);
    cr_expect_eq(which.pick, EXPORT_BEST);
    cr_assert_eq(export_version_parse("120", &which, NULL), RT_OK);
    cr_expect(which.pick == EXPORT_NUMBER && which.number == 120);
    cr_expect_eq(export_version_parse("12x", &which, NULL), RT_INVALID);
    cr_assert_eq(export_dtype_parse("bf16", &dtype, NULL), RT_OK);
    cr_expect_eq(dtype, TENSOR_BF16);
    cr_expect_eq(export_dtype_parse("int8", &dtype, NULL), RT_INVALID);
}
