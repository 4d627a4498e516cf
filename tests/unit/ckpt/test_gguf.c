#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/ckpt/gguf.h"
#include "common/ckpt/gguf_names.h"
#include "common/ckpt/gguf_write.h"
#include "tests/support/temp_folder.h"

/* ---- Q8_0 ---- */

static void noise(uint64_t seed, float scale, float *out, size_t n)
{
    rng_key key = rng_key_make(seed, "gguf", (rt_id){0}, 0);
    for (size_t i = 0; i < n; i++) out[i] = scale * rng_normal(key, i);
}

Test(gguf, q8_0_loses_no_more_than_the_format_says)
{
    static const float scales[] = {1e-2f, 1.0f, 300.0f};
    for (size_t k = 0; k < RT_COUNT(scales); k++) {
        float x[320], y[320];
        uint8_t blocks[340];
        noise(k, scales[k], x, 320);
        q8_0_encode(x, 320, blocks);
        q8_0_decode(blocks, 0, 320, y);
        for (size_t b = 0; b < 10; b++) {
            float most = 0;
            for (size_t i = 32 * b; i < 32 * b + 32; i++) most = fmaxf(most, fabsf(x[i]));
            for (size_t i = 32 * b; i < 32 * b + 32; i++)
                cr_expect_leq(fabsf(x[i] - y[i]), 0.57f * most / 127, "%zu", i);
        }
    }
}

Test(gguf, q8_0_by_hand_and_in_parts)
{
    float x[64] = {0}, y[64], part[64];
    uint8_t blocks[68];
    x[0] = -127; /* scale 1 */
    x[1] = 64.4f;
    x[2] = 0.5f; /* rounds away from zero */
    x[40] = 254; /* scale 2 */
    x[41] = 3.1f;
    q8_0_encode(x, 64, blocks);
    cr_expect(blocks[0] == 0 && blocks[1] == 0x3C, "1.0 as f16");
    cr_expect(blocks[2] == 0x81 && blocks[3] == 64 && blocks[4] == 1);
    q8_0_decode(blocks, 0, 64, y);
    cr_expect(y[0] == -127 && y[1] == 64 && y[40] == 254 && y[41] == 4 && y[63] == 0);
    for (size_t first = 0; first < 64; first++) {
        q8_0_decode(blocks, first, 64 - first, part);
        cr_expect_eq(memcmp(part, y + first, (64 - first) * sizeof *y), 0, "from %zu", first);
    }
    memset(x, 0, sizeof x);
    q8_0_encode(x, 64, blocks);
    q8_0_decode(blocks, 0, 64, y);
    for (size_t i = 0; i < 64; i++) cr_expect_eq(y[i], 0);
}

/* ---- a file ---- */

static const float numbers[128] = {1, -2.5f, 0.125f, 70000, 3, 4, 5, 6};

static void read_numbers(const void *context, size_t i_tensor, size_t first, size_t n, float *out)
{
    (void)i_tensor;
    memcpy(out, (const float *)context + first, n * sizeof *out);
}

static gguf_source tensor_of(const char *name, gguf_tensor_type type, size_t rows, size_t cols)
{
    return (gguf_source){.name = name,
                         .type = type,
                         .n_dims = rows == 0 ? 1 : 2,
                         .shape = {rows == 0 ? cols : rows, rows == 0 ? 0 : cols},
                         .read = read_numbers,
                         .context = numbers};
}

static gguf_writer *fill_writer(void)
{
    gguf_writer *w = NULL;
    cr_assert_eq(gguf_writer_new(&w, NULL), RT_OK);
    gguf_add_text(w, "general.architecture", "llama");
    gguf_add_u32(w, "llama.block_count", 4);
    gguf_add_f32(w, "llama.eps", 0.5f);
    gguf_add_bool(w, "a.bool", true);
    gguf_add_array(w, "a.texts", GGUF_TEXT, 2);
    gguf_item_text(w, "one", 3);
    gguf_item_text(w, "\xC3\xA9", 2);
    gguf_add_array(w, "a.floats", GGUF_F32, 2);
    gguf_item_f32(w, -1.5f);
    gguf_item_f32(w, 2);
    gguf_add_array(w, "a.ints", GGUF_I32, 1);
    gguf_item_i32(w, -7);
    gguf_add_array(w, "a.bytes", GGUF_U8, 3);
    gguf_item_u8s(w, "xyz", 3);
    gguf_source tensors[] = {tensor_of("a.weight", GGUF_TENSOR_F32, 2, 3),
                             tensor_of("b.weight", GGUF_TENSOR_BF16, 0, 5),
                             tensor_of("c.weight", GGUF_TENSOR_F32, 2, 32)};
    for (size_t i = 0; i < RT_COUNT(tensors); i++) gguf_add_tensor(w, &tensors[i]);
    return w;
}

static rt_buf written(char sha256[RT_SHA256_HEX_SIZE])
{
    char *folder = temp_folder_new();
    rt_buf file = {0};
    rt_error err = {0};
    gguf_writer *w = fill_writer();
    cr_assert_eq(gguf_writer_save(w, temp_folder_path(folder, "x"), sha256, &err), RT_OK, "%s",
                 err.text);
    temp_folder_read(folder, "x", &file);
    gguf_writer_free(w);
    temp_folder_free(folder);
    return file;
}

Test(gguf, what_is_written_is_read_back)
{
    char sha256[RT_SHA256_HEX_SIZE], again[RT_SHA256_HEX_SIZE];
    rt_buf file = written(sha256);
    rt_error err = {0};
    gguf *f = NULL;
    rt_sha256_of(file.data, file.n, again);
    cr_expect_str_eq(sha256, again);
    cr_assert_eq(gguf_open_bytes("x", file.data, file.n, &f, &err), RT_OK, "%s", err.text);
    uint64_t size = 0;
    double number = 0;
    bool truth = false;
    const char *text;
    size_t n;
    cr_expect_eq(gguf_version(f), 3);
    cr_expect_eq(gguf_count(f), 8);
    cr_expect(gguf_text_is(gguf_find(f, "general.architecture"), "llama"));
    cr_expect(gguf_size(gguf_find(f, "llama.block_count"), &size) && size == 4);
    cr_expect(gguf_number(gguf_find(f, "llama.eps"), &number) && number == 0.5);
    cr_expect_not(gguf_size(gguf_find(f, "llama.eps"), &size), "a float is no size");
    cr_expect(gguf_truth(gguf_find(f, "a.bool"), &truth) && truth);
    cr_expect_null(gguf_find(f, "a.boo"));
    cr_expect_not(gguf_text(gguf_find(f, "nothing"), &text, &n));
    gguf_items texts = gguf_items_of(gguf_find(f, "a.texts"));
    cr_expect(gguf_next_text(&texts, &text, &n) && n == 3 && memcmp(text, "one", 3) == 0);
    cr_expect(gguf_next_text(&texts, &text, &n) && n == 2);
    cr_expect_not(gguf_next_text(&texts, &text, &n));
    gguf_items floats = gguf_items_of(gguf_find(f, "a.floats"));
    cr_expect(gguf_next_number(&floats, &number) && number == -1.5);
    gguf_items ints = gguf_items_of(gguf_find(f, "a.ints"));
    cr_expect(gguf_next_number(&ints, &number) && number == -7);
    cr_expect_eq(gguf_count_tensors(f), 3);
    const gguf_tensor *a = gguf_find_tensor(f, "a.weight"), *c = gguf_find_tensor(f, "c.weight");
    cr_assert(a != NULL && c != NULL && gguf_find_tensor(f, "d") == NULL);
    cr_expect(a->n_dims == 2 && a->shape[0] == 2 && a->shape[1] == 3 && a->n == 6);
    cr_expect(a->offset % 32 == 0 && c->offset % 32 == 0 && c->offset > a->offset);
    float out[64];
    gguf_read(f, a, 1, 4, out);
    cr_expect_eq(memcmp(out, numbers + 1, 4 * sizeof *out), 0);
    gguf_close(f);
    rt_buf_free(&file);
}

Test(gguf, the_bytes_are_the_documented_ones)
{
    char *folder = temp_folder_new();
    rt_buf file = {0};
    gguf_writer *w = NULL;
    gguf_source t = tensor_of("t", GGUF_TENSOR_F32, 2, 3);
    cr_assert_eq(gguf_writer_new(&w, NULL), RT_OK);
    gguf_add_u32(w, "k", 258);
    gguf_add_tensor(w, &t);
    cr_assert_eq(gguf_writer_save(w, temp_folder_path(folder, "x"), NULL, NULL), RT_OK);
    gguf_writer_free(w);
    temp_folder_read(folder, "x", &file);
    static const unsigned char expected[] = {
        'G', 'G', 'U', 'F', 3, 0, 0, 0, 1,   0, 0, 0, 0, 0, 0, 0, 1,
        0,   0,   0,   0,   0, 0, 0,                                 /* header */
        1,   0,   0,   0,   0, 0, 0, 0, 'k', 4, 0, 0, 0, 2, 1, 0, 0, /* key */
        1,   0,   0,   0,   0, 0, 0, 0, 't', 2, 0, 0, 0,             /* tensor */
        3,   0,   0,   0,   0, 0, 0, 0, 2,   0, 0, 0, 0, 0, 0, 0,    /* columns, rows */
        0,   0,   0,   0,   0, 0, 0, 0, 0,   0, 0, 0,                /* F32 at 0 */
    };
    cr_assert_eq(file.n, 96 + 32); /* 82 bytes, padded; six floats, padded */
    cr_expect_eq(memcmp(file.data, expected, sizeof expected), 0);
    for (size_t i = sizeof expected; i < 96; i++) cr_expect_eq(file.data[i], 0);
    rt_buf_free(&file);
    temp_folder_free(folder);
}

/* A copy of exactly n bytes, so that a sanitizer sees every read beyond them. */
static rt_status open_copy(const char *bytes, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);
    rt_error err = {0};
    gguf *f = NULL;
    memcpy(copy, bytes, n);
    rt_status st = gguf_open_bytes("copy", copy, n, &f, &err);
    cr_expect_eq(st == RT_OK, err.text[0] == '\0');
    for (size_t i = 0; st == RT_OK && i < gguf_count_tensors(f); i++) {
        const gguf_tensor *t = gguf_tensor_at(f, i);
        float *out = malloc(t->n * sizeof *out + 1);
        if (gguf_can_read(t)) gguf_read(f, t, 0, t->n, out);
        free(out);
    }
    gguf_close(f);
    free(copy);
    return st;
}

Test(gguf, a_file_cut_at_any_byte_is_refused)
{
    rt_buf file = written(NULL);
    cr_expect_eq(open_copy(file.data, file.n), RT_OK);
    for (size_t n = 0; n < file.n; n++)
        cr_expect_eq(open_copy(file.data, n), RT_CORRUPT, "cut at %zu", n);
    rt_buf_free(&file);
}

Test(gguf, flipped_bits_never_crash)
{
    rt_buf file = written(NULL);
    for (size_t i = 0; i < file.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
            (void)open_copy(file.data, file.n);
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
        }
    }
    rt_buf_free(&file);
}

static rt_status open_changed(const char *what, const char *to, rt_error *err)
{
    rt_buf file = written(NULL);
    gguf *f = NULL;
    size_t n = strlen(what);
    char *at = memmem(file.data, file.n, what, n);
    cr_assert_not_null(at, "%s", what);
    memcpy(at, to, n);
    rt_status st = gguf_open_bytes("x.gguf", file.data, file.n, &f, err);
    gguf_close(f);
    rt_buf_free(&file);
    return st;
}

Test(gguf, a_refusal_names_what_is_wrong)
{
    rt_error err = {0};
    rt_buf file = written(NULL);
    gguf *f = NULL;
    cr_expect_eq(open_changed("GGUF", "GGLA", &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "x.gguf"), "%s", err.text);
    cr_expect_eq(open_changed("a.weight", "b.weight", &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "b.weight comes twice"), "%s", err.text);
    cr_expect_eq(open_changed("a.texts", "a.bytes", &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "a.bytes comes twice"), "%s", err.text);
    file.data[4] = 1;
    cr_expect_eq(gguf_open_bytes("x", file.data, file.n, &f, &err), RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "version 1"), "%s", err.text);
    memcpy(file.data + 4, "\0\0\0\3", 4);
    cr_expect_eq(gguf_open_bytes("x", file.data, file.n, &f, &err), RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "big-endian"), "%s", err.text);
    memcpy(file.data + 4, "\3\0\0\0\xFF\xFF\xFF\xFF", 8); /* four milliards of tensors */
    cr_expect_eq(gguf_open_bytes("x", file.data, file.n, &f, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "4294967295 tensors"), "%s", err.text);
    cr_expect_null(f);
    rt_buf_free(&file);
}

Test(gguf, numbers_that_a_type_cannot_hold_are_named_and_nothing_is_written)
{
    static const struct {
        gguf_tensor_type type;
        float bad;
        const char *named;
    } cases[] = {{GGUF_TENSOR_F16, 70000, "70000"},
                 {GGUF_TENSOR_F32, NAN, "nan"},
                 {GGUF_TENSOR_Q8_0, INFINITY, "inf"}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char *folder = temp_folder_new();
        float x[32] = {0};
        gguf_writer *w = NULL;
        rt_error err = {0};
        gguf_source t = tensor_of("bad.weight", cases[i].type, 1, 32);
        x[5] = cases[i].bad;
        t.context = x;
        cr_assert_eq(gguf_writer_new(&w, NULL), RT_OK);
        gguf_add_tensor(w, &t);
        temp_folder_write_text(folder, "x", "old");
        cr_expect_eq(gguf_writer_save(w, temp_folder_path(folder, "x"), NULL, &err), RT_INVALID);
        cr_expect_not_null(strstr(err.text, "bad.weight: element 5"), "%s", err.text);
        cr_expect_not_null(strstr(err.text, cases[i].named), "%s", err.text);
        rt_buf file = {0};
        temp_folder_read(folder, "x", &file);
        cr_expect_str_eq(file.data, "old");
        rt_buf_free(&file);
        gguf_writer_free(w);
        temp_folder_free(folder);
    }
}

Test(gguf, trouble_of_an_adder_is_told_at_the_end)
{
    rt_error err = {0};
    gguf_writer *w = NULL;
    gguf_source t = tensor_of("c.weight", GGUF_TENSOR_Q8_0, 4, 31);
    cr_assert_eq(gguf_writer_new(&w, NULL), RT_OK);
    gguf_add_tensor(w, &t);
    cr_expect_eq(gguf_writer_save(w, "/nowhere/x", NULL, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "rows of 31"), "%s", err.text);
    gguf_writer_free(w);
    cr_assert_eq(gguf_writer_new(&w, NULL), RT_OK);
    gguf_add_u32(w, "k", (uint64_t)1 << 33);
    cr_expect_eq(gguf_writer_save(w, "/nowhere/x", NULL, &err), RT_INVALID);
    gguf_writer_free(w);
    w = fill_writer();
    cr_expect_eq(gguf_writer_save(w, "/nowhere/x", NULL, &err), RT_IO);
    gguf_writer_free(w);
}

/* ---- names ---- */

Test(gguf, names_of_both_architectures)
{
    static const struct {
        const char *architecture, *hf, *gguf;
        gguf_rows rows;
    } cases[] = {
        {"llama", "model.embed_tokens.weight", "token_embd.weight", GGUF_ROWS_PLAIN},
        {"llama", "lm_head.weight", "output.weight", GGUF_ROWS_PLAIN},
        {"llama", "model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight",
         GGUF_ROWS_ROTARY},
        {"llama", "model.layers.123.self_attn.k_proj.weight", "blk.123.attn_k.weight",
         GGUF_ROWS_ROTARY},
        {"llama", "model.layers.7.self_attn.o_proj.weight", "blk.7.attn_output.weight",
         GGUF_ROWS_PLAIN},
        {"llama", "model.layers.7.mlp.down_proj.weight", "blk.7.ffn_down.weight", GGUF_ROWS_PLAIN},
        {"t5", "shared.weight", "token_embd.weight", GGUF_ROWS_PLAIN},
        {"t5", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
         "enc.blk.0.attn_rel_b.weight", GGUF_ROWS_PLAIN},
        {"t5", "encoder.block.3.layer.1.DenseReluDense.wi_0.weight", "enc.blk.3.ffn_gate.weight",
         GGUF_ROWS_PLAIN},
        {"t5", "encoder.block.3.layer.1.DenseReluDense.wi.weight", "enc.blk.3.ffn_up.weight",
         GGUF_ROWS_PLAIN},
        {"t5", "decoder.block.3.layer.1.EncDecAttention.k.weight", "dec.blk.3.cross_attn_k.weight",
         GGUF_ROWS_PLAIN},
        {"t5", "decoder.block.3.layer.1.layer_norm.weight", "dec.blk.3.cross_attn_norm.weight",
         GGUF_ROWS_PLAIN},
        {"t5", "decoder.block.3.layer.2.DenseReluDense.wo.weight", "dec.blk.3.ffn_down.weight",
         GGUF_ROWS_PLAIN},
        {"t5", "decoder.final_layer_norm.weight", "dec.output_norm.weight", GGUF_ROWS_PLAIN},
    };
    char name[GGUF_NAME_MAX + 1];
    gguf_rows rows;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        cr_assert(gguf_name_of(cases[i].architecture, cases[i].hf, name, &rows), "%s", cases[i].hf);
        cr_expect_str_eq(name, cases[i].gguf);
        cr_expect_eq(rows, cases[i].rows, "%s", cases[i].hf);
    }
    cr_expect_not(gguf_name_of("llama", "model.layers.0.self_attn.q_proj.bias", name, &rows));
    cr_expect_not(gguf_name_of("llama", "model.layers..self_attn.q_proj.weight", name, &rows));
    cr_expect_not(gguf_name_of("llama", "shared.weight", name, &rows));
    cr_expect_not(gguf_name_of("gpt2", "lm_head.weight", name, &rows));
}
