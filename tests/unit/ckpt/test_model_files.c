#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/ckpt/model_files.h"
#include "common/text/piece_list.h"
#include "tests/support/temp_folder.h"

static const model_config toy = {.arch = MODEL_ARCH_LLAMA,
                                 .n_vocab = 5,
                                 .d_model = 8,
                                 .n_layers = 1,
                                 .n_heads = 2,
                                 .n_kv_heads = 2,
                                 .d_head = 4,
                                 .d_ff = 6,
                                 .seq_len_max = 16,
                                 .rope_theta = 10000,
                                 .norm_eps = 1e-5f,
                                 .tied = true,
                                 .bos_id = 1,
                                 .eos_id = 2,
                                 .pad_id = 2};

static void write_model(const char *folder)
{
    param_table table = {0};
    cr_assert_eq(param_table_build(&toy, &table, NULL), RT_OK);
    float *weights = rt_calloc(table.n_total, sizeof *weights);
    param_table_init(&table, &toy, 3, weights);
    cr_assert_eq(hf_config_write(folder, &toy, TENSOR_F32, NULL), RT_OK);
    cr_assert_eq(hf_weights_write(folder, &table, weights, TENSOR_F32, NULL, NULL), RT_OK);
    free(weights);
    param_table_free(&table);
}

/* A sentencepiece model of n pieces. */
static void write_pieces(const char *folder, const char *name, size_t n)
{
    piece_list list = {.bpe = true, .unk_id = 0, .bos_id = -1, .eos_id = -1, .pad_id = -1};
    rt_buf bytes = {0};
    for (size_t i = 0; i < n; i++) {
        char text[] = {(char)('a' + i), '\0'};
        cr_assert_eq(
            piece_list_add(&list, text, 1, -(float)i, i == 0 ? PIECE_UNKNOWN : PIECE_NORMAL, NULL),
            RT_OK);
    }
    cr_assert_eq(piece_list_write(&list, &bytes, NULL), RT_OK);
    temp_folder_write(folder, name, bytes.data, bytes.n);
    rt_buf_free(&bytes);
    piece_list_free(&list);
}

Test(model_files, a_folder_gives_its_weights_in_any_pieces)
{
    char *folder = temp_folder_new();
    model_files *m = NULL;
    rt_error err = {0};
    write_model(folder);
    cr_assert_eq(model_files_open(folder, MODEL_FORMAT_AUTO, &m, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_files_format(m), MODEL_FORMAT_HF);
    cr_expect_eq(model_files_config(m)->d_ff, 6);
    const param_table *table = model_files_table(m);
    float *whole = rt_calloc(table->n_total, sizeof *whole);
    float *expected = rt_calloc(table->n_total, sizeof *expected);
    weight_source source = model_files_source(m);
    param_table_init(table, &toy, 3, expected);
    for (size_t i = 0; i < table->n_params; i++)
        for (size_t at = 0; table->params[i].alias_of < 0 && at < table->params[i].n; at += 7)
            source.read(source.context, i, at, RT_MIN((size_t)7, table->params[i].n - at),
                        whole + table->params[i].offset + at);
    cr_expect_eq(memcmp(whole, expected, table->n_total * sizeof *whole), 0);
    free(whole);
    free(expected);
    model_files_close(m);
    temp_folder_free(folder);
}

Test(model_files, the_tokenizer_must_fit_the_rows)
{
    char *folder = temp_folder_new();
    model_files *m = NULL;
    rt_error err = {0};
    rt_buf bytes = {0};
    write_model(folder);
    cr_assert_eq(model_files_open(folder, MODEL_FORMAT_AUTO, &m, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_files_tokenizer(m, NULL, &bytes, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "--tokenizer"), "%s", err.text);
    write_pieces(folder, "big", 6);
    cr_expect_eq(model_files_tokenizer(m, temp_folder_path(folder, "big"), &bytes, &err),
                 RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "6 pieces"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "only 5 rows"), "%s", err.text);
    temp_folder_write_text(folder, "bad", "no tokenizer");
    cr_expect_eq(model_files_tokenizer(m, temp_folder_path(folder, "bad"), &bytes, &err),
                 RT_CORRUPT);
    write_pieces(folder, "spiece.model", 4);
    cr_expect_eq(model_files_tokenizer(m, NULL, &bytes, &err), RT_OK, "%s", err.text);
    cr_expect_gt(bytes.n, 0);
    rt_buf_free(&bytes);
    model_files_close(m);
    temp_folder_free(folder);
}

Test(model_files, what_is_no_model_is_refused_by_name)
{
    char *folder = temp_folder_new();
    model_files *m = NULL;
    rt_error err = {0};
    cr_expect_eq(model_files_open("/nowhere/x", MODEL_FORMAT_AUTO, &m, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "/nowhere/x"));
    temp_folder_write_text(folder, "x.bin", "This is no model, but a text of some length.");
    cr_expect_eq(model_files_open(temp_folder_path(folder, "x.bin"), MODEL_FORMAT_AUTO, &m, &err),
                 RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "x.bin"), "%s", err.text);
    cr_expect_eq(model_files_open(folder, MODEL_FORMAT_AUTO, &m, &err), RT_IO);
    cr_expect_null(m);
    model_format format;
    cr_expect_eq(model_format_parse("onnx", &format, &err), RT_INVALID);
    cr_assert_eq(model_format_parse("llama2c", &format, &err), RT_OK);
    cr_expect_eq(format, MODEL_FORMAT_LLAMA2C);
    temp_folder_free(folder);
}
