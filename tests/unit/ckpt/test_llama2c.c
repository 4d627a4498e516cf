/* A published model of 260 thousand parameters must write what its own program writes, and a small
 * file made here must come out row by row where it belongs. The published one is no part of the
 * product: without it those tests are skipped. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/fs.h"
#include "common/ckpt/llama2c.h"
#include "common/nn/generate.h"
#include "common/text/tokenizer.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_folder.h"

/* ---- a file made here: every number is its own place in the file ---- */

enum { DIM = 8, HIDDEN = 3, LAYERS = 2, HEADS = 2, KV_HEADS = 1, VOCAB = 5, SEQ = 6 };

static void add_i32(rt_buf *b, int32_t v)
{
    cr_assert_eq(rt_buf_add(b, &v, sizeof v, NULL), RT_OK);
}

static void add_header(rt_buf *b, bool is_new, bool tied)
{
    const int32_t sizes[] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, is_new || tied ? VOCAB : -VOCAB,
                             SEQ};
    if (is_new) {
        add_i32(b, 0x616b3432);
        add_i32(b, 1);
    }
    for (size_t i = 0; i < RT_COUNT(sizes); i++) add_i32(b, sizes[i]);
    if (!is_new) return;
    char rest[256] = {(char)tied};
    cr_assert_eq(rt_buf_add(b, rest, 256 - b->n, NULL), RT_OK);
}

static rt_buf make_file(bool is_new, bool tied)
{
    rt_buf b = {0};
    size_t d_head = DIM / HEADS, n_kv = KV_HEADS * d_head;
    size_t n = VOCAB * DIM +
               LAYERS * (2 * DIM + 2 * DIM * DIM + 2 * n_kv * DIM + 3 * DIM * HIDDEN) + DIM +
               (tied ? 0 : VOCAB * DIM) + (is_new ? 0 : SEQ * d_head);
    add_header(&b, is_new, tied);
    for (size_t i = 0; i < n; i++) {
        float x = (float)i;
        cr_assert_eq(rt_buf_add(&b, &x, sizeof x, NULL), RT_OK);
    }
    return b;
}

static llama2c *open_bytes(const rt_buf *b, rt_error *err)
{
    char *folder = temp_folder_new(), path[512];
    llama2c *f = NULL;
    snprintf(path, sizeof path, "%s/m.bin", folder);
    cr_assert_eq(rt_fs_write_atomic(path, b->data, b->n, NULL), RT_OK);
    rt_status st = llama2c_open(path, &f, err);
    cr_assert_eq(st == RT_OK, f != NULL);
    temp_folder_free(folder);
    return f;
}

/* First number of each row of a parameter, by name. */
static float at(const llama2c *f, const char *name, size_t row, size_t col)
{
    weight_source source = llama2c_source(f);
    int i = param_table_find(source.table, name);
    float x;
    cr_assert_geq(i, 0, "%s", name);
    size_t n_cols = source.table->params[i].n_dims == 1 ? 1 : source.table->params[i].shape[1];
    source.read(source.context, (size_t)i, row * n_cols + col, 1, &x);
    return x;
}

Test(llama2c, every_matrix_comes_from_its_place)
{
    size_t d_head = DIM / HEADS, n_kv = KV_HEADS * d_head;
    for (int is_new = 0; is_new < 2; is_new++) {
        for (int tied = 0; tied < 2; tied++) {
            rt_error err = {0};
            rt_buf b = make_file(is_new, tied);
            llama2c *f = open_bytes(&b, &err);
            cr_assert_not_null(f, "%s", err.text);
            const model_config *c = llama2c_config(f);
            cr_expect(c->d_model == DIM && c->d_ff == HIDDEN && c->n_layers == LAYERS &&
                      c->n_heads == HEADS && c->n_kv_heads == KV_HEADS && c->n_vocab == VOCAB &&
                      c->seq_len_max == SEQ && c->tied == tied && c->norm_eps == 1e-5f);
            /* the order of version 0, then of version 1 */
            size_t emb = is_new ? (2 * LAYERS + 1) * DIM : 0;
            size_t norm_1 = is_new ? 0 : VOCAB * DIM;
            size_t q = is_new ? emb + VOCAB * DIM : norm_1 + LAYERS * DIM;
            size_t v = q + LAYERS * (DIM + n_kv) * DIM;
            size_t gate = v + LAYERS * (n_kv + DIM) * DIM + (is_new ? 0 : LAYERS * DIM);
            size_t down = gate + LAYERS * HIDDEN * DIM, up = down + LAYERS * HIDDEN * DIM;
            size_t norm = is_new ? 2 * LAYERS * DIM : up + LAYERS * HIDDEN * DIM;
            size_t head = is_new ? up + LAYERS * HIDDEN * DIM : norm + DIM + SEQ * d_head;
            cr_expect_eq(at(f, "model.embed_tokens.weight", 2, 1), (float)(emb + 2 * DIM + 1));
            cr_expect_eq(at(f, "model.layers.1.input_layernorm.weight", 3, 0),
                         (float)(norm_1 + DIM + 3));
            cr_expect_eq(at(f, "model.layers.1.self_attn.v_proj.weight", 1, 2),
                         (float)(v + n_kv * DIM + DIM + 2));
            cr_expect_eq(at(f, "model.layers.1.mlp.gate_proj.weight", 2, 5),
                         (float)(gate + HIDDEN * DIM + 2 * DIM + 5));
            cr_expect_eq(at(f, "model.layers.0.mlp.down_proj.weight", 1, 2),
                         (float)(down + HIDDEN + 2));
            cr_expect_eq(at(f, "model.layers.0.mlp.up_proj.weight", 1, 2), (float)(up + DIM + 2));
            cr_expect_eq(at(f, "model.norm.weight", 4, 0), (float)(norm + 4));
            if (!tied) cr_expect_eq(at(f, "lm_head.weight", 1, 1), (float)(head + DIM + 1));
            /* neighbours 0 1 | 2 3 become halves 0 2 | 1 3, in each head */
            static const size_t rows[] = {0, 2, 1, 3, 4, 6, 5, 7};
            for (size_t r = 0; r < DIM; r++)
                cr_expect_eq(at(f, "model.layers.1.self_attn.q_proj.weight", r, 7),
                             (float)(q + DIM * DIM + rows[r] * DIM + 7), "row %zu", r);
            llama2c_close(f);
            rt_buf_free(&b);
        }
    }
}

Test(llama2c, any_cut_of_a_read_gives_the_same_numbers)
{
    rt_buf b = make_file(true, false);
    llama2c *f = open_bytes(&b, NULL);
    weight_source source = llama2c_source(f);
    int i = param_table_find(source.table, "model.layers.0.self_attn.q_proj.weight");
    float whole[DIM * DIM], parts[DIM * DIM];
    source.read(source.context, (size_t)i, 0, DIM * DIM, whole);
    for (size_t step = 1; step < 30; step++) {
        for (size_t first = 0; first < DIM * DIM; first += step)
            source.read(source.context, (size_t)i, first, RT_MIN(step, DIM * DIM - first),
                        parts + first);
        cr_expect_eq(memcmp(whole, parts, sizeof whole), 0, "steps of %zu", step);
    }
    llama2c_close(f);
    rt_buf_free(&b);
}

/* A copy of exactly n bytes, so that a sanitizer sees every read beyond them. */
static rt_status check_copy(const char *bytes, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);
    rt_error err = {0};
    memcpy(copy, bytes, n);
    rt_status st = llama2c_check_bytes(copy, n, &err);
    cr_expect_eq(st == RT_OK, err.text[0] == '\0');
    free(copy);
    return st;
}

Test(llama2c, a_file_cut_or_grown_at_any_byte_is_refused)
{
    for (int is_new = 0; is_new < 2; is_new++) {
        rt_buf b = make_file(is_new, is_new);
        cr_expect_eq(check_copy(b.data, b.n), RT_OK);
        for (size_t n = 0; n < b.n; n++) cr_assert_eq(check_copy(b.data, n), RT_CORRUPT, "%zu", n);
        cr_assert_eq(rt_buf_add(&b, "x", 1, NULL), RT_OK);
        cr_expect_eq(check_copy(b.data, b.n), RT_CORRUPT);
        rt_buf_free(&b);
    }
}

Test(llama2c, flipped_bits_of_the_header_never_crash)
{
    for (int is_new = 0; is_new < 2; is_new++) {
        rt_buf b = make_file(is_new, false);
        for (size_t i = 0; i < 48; i++) {
            for (int bit = 0; bit < 8; bit++) {
                b.data[i] = (char)(b.data[i] ^ 1 << bit);
                (void)check_copy(b.data, b.n);
                b.data[i] = (char)(b.data[i] ^ 1 << bit);
            }
        }
        rt_buf_free(&b);
    }
}

Test(llama2c, a_refusal_names_what_is_wrong)
{
    rt_error err = {0};
    rt_buf b = make_file(true, true);
    b.data[4] = 2; /* the quantised version */
    cr_expect_eq(llama2c_check_bytes(b.data, b.n, &err), RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "version 2"), "%s", err.text);
    b.data[4] = 1;
    b.data[8 + 4 * 3] = 3; /* three heads do not share eight columns */
    cr_expect_eq(llama2c_check_bytes(b.data, b.n, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "n_heads"), "%s", err.text);
    b.data[8 + 4 * 3] = 0;
    cr_expect_eq(llama2c_check_bytes(b.data, b.n, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "n_heads is 0"), "%s", err.text);
    rt_buf_free(&b);
}

/* ---- tokenizer.bin ---- */

static void add_piece(rt_buf *b, float score, const char *text)
{
    cr_assert_eq(rt_buf_add(b, &score, 4, NULL), RT_OK);
    add_i32(b, (int32_t)strlen(text));
    cr_assert_eq(rt_buf_add_text(b, text, NULL), RT_OK);
}

static rt_buf make_tokenizer(void)
{
    rt_buf b = {0};
    add_i32(&b, 7);
    add_piece(&b, 0, "<unk>");
    add_piece(&b, 0, "\n<s>\n");
    add_piece(&b, 0, "\n</s>\n");
    add_piece(&b, 0, "<0x00>");
    add_piece(&b, -1.5f, " a b");
    return b;
}

Test(llama2c, the_tokenizer_gets_marks_for_spaces_and_types_by_place)
{
    rt_buf b = make_tokenizer();
    piece_list list = {0};
    rt_error err = {0};
    cr_assert_eq(llama2c_tokenizer_parse("t", b.data, b.n, 5, &list, &err), RT_OK, "%s", err.text);
    cr_assert_eq(list.n, 5);
    static const piece_type types[] = {PIECE_UNKNOWN, PIECE_CONTROL, PIECE_CONTROL, PIECE_BYTE,
                                       PIECE_NORMAL};
    for (size_t i = 0; i < 5; i++) cr_expect_eq(list.pieces[i].type, types[i], "%zu", i);
    cr_expect_eq(memcmp(piece_list_text(&list, 1), "<s>", 3), 0);
    cr_expect_eq(list.pieces[4].n, 8);
    cr_expect_eq(memcmp(piece_list_text(&list, 4),
                        "\xE2\x96\x81"
                        "a\xE2\x96\x81"
                        "b",
                        8),
                 0);
    cr_expect_eq(list.pieces[4].score, -1.5f);
    piece_list_free(&list);
    cr_expect_eq(llama2c_tokenizer_parse("t", b.data, b.n, 6, &list, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "5 pieces, expected the model's 6"), "%s", err.text);
    for (size_t n = 0; n < b.n; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, b.data, n);
        copy = realloc(copy, n > 0 ? n : 1);
        cr_expect_eq(llama2c_tokenizer_parse("t", copy, n, 5, &list, NULL), RT_CORRUPT, "%zu", n);
        free(copy);
    }
    rt_buf_free(&b);
}

/* ---- the published model ---- */

/* The numbers of the array that follows "ids". */
static size_t read_ids(const char *json, uint32_t *ids, size_t n_max)
{
    const char *at = strstr(json, "\"ids\"");
    cr_assert_not_null(at);
    at = strchr(at, '[');
    size_t n = 0;
    while (at != NULL && *at != ']' && n < n_max) {
        char *end;
        unsigned long id = strtoul(at + 1, &end, 10);
        if (end == at + 1) break;
        ids[n++] = (uint32_t)id;
        at = strpbrk(end, ",]");
    }
    return n;
}

typedef struct published {
    model *model;
    tokenizer *tokenizer;
    rt_buf golden;
} published;

static published open_published(void)
{
    char path[1024];
    rt_error err = {0};
    rt_buf bytes = {0};
    llama2c *file = NULL;
    piece_list list = {0};
    published p = {0};
    if (!shared_data_path("weights/aidreams260K.bin", path, sizeof path))
        cr_skip_test("the published model is not here");
    cr_assert_eq(llama2c_open(path, &file, &err), RT_OK, "%s", err.text);
    cr_assert_eq(model_new(llama2c_config(file), &p.model, &err), RT_OK, "%s", err.text);
    weight_source source = llama2c_source(file);
    weight_source_read_all(&source, model_weights(p.model));
    llama2c_close(file);
    cr_assert(shared_data_path("weights/golden_greedy.json", path, sizeof path));
    cr_assert_eq(rt_fs_read(path, 1 << 20, &p.golden, &err), RT_OK, "%s", err.text);
    cr_assert(shared_data_path("weights/tok512.bin", path, sizeof path));
    cr_assert_eq(llama2c_tokenizer_read(path, 512, &list, &err), RT_OK, "%s", err.text);
    cr_assert_eq(piece_list_write(&list, &bytes, &err), RT_OK, "%s", err.text);
    char *folder = temp_folder_new();
    snprintf(path, sizeof path, "%s/t.model", folder);
    cr_assert_eq(rt_fs_write_atomic(path, bytes.data, bytes.n, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &p.tokenizer, &err), RT_OK, "%s", err.text);
    temp_folder_free(folder);
    piece_list_free(&list);
    rt_buf_free(&bytes);
    return p;
}

static void close_published(published *p)
{
    model_free(p->model);
    tokenizer_free(p->tokenizer);
    rt_buf_free(&p->golden);
}

/* [bos] and the prompt's ids; `n_steps` positions are written in all, as run.c -n counts them. */
static rt_buf continue_text(const published *p, const char *prompt, size_t n_steps,
                            const uint32_t *wanted)
{
    rt_error err = {0};
    rt_buf text = {0};
    id_list ids = {0};
    generated out;
    cr_assert_eq(id_list_add(&ids, 1, NULL), RT_OK);
    if (prompt[0] != '\0')
        cr_assert_eq(tokenizer_encode(p->tokenizer, prompt, strlen(prompt), &ids, NULL), RT_OK);
    generate_prompt ask = {.ids = ids.ids, .n_ids = ids.n};
    generate_options options = {.max_new_tokens = n_steps + 1 - ids.n, .top_p = 1};
    cr_assert_eq(generate(p->model, &ask, 1, &options, &out, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; wanted != NULL && i < out.n_ids; i++)
        cr_assert_eq(out.ids[i], wanted[i], "token %zu is %u, expected %u", i, out.ids[i],
                     wanted[i]);
    for (size_t i = 0; i < out.n_ids; i++) cr_assert_eq(id_list_add(&ids, out.ids[i], NULL), RT_OK);
    cr_assert_eq(tokenizer_decode(p->tokenizer, ids.ids, ids.n, &text, &err), RT_OK, "%s",
                 err.text);
    cr_assert_eq(rt_buf_add_text(&text, "", NULL), RT_OK);
    generated_free(&out, 1);
    id_list_free(&ids);
    return text;
}

/* The value of a text field without escapes other than \". */
static rt_buf golden_text(const rt_buf *json, const char *key)
{
    rt_buf text = {0};
    const char *at = strstr(json->data, key);
    cr_assert_not_null(at);
    at = strchr(at + strlen(key), '"') + 1;
    for (; *at != '"'; at++) {
        if (*at == '\\') at++;
        cr_assert_eq(rt_buf_add(&text, at, 1, NULL), RT_OK);
    }
    return text;
}

Test(llama2c, the_published_model_writes_the_same_100_tokens_as_its_own_program)
{
    published p = open_published();
    uint32_t wanted[128];
    size_t n = read_ids(p.golden.data, wanted, RT_COUNT(wanted));
    cr_assert_eq(n, 100);
    rt_buf text = continue_text(&p, "", n, wanted);
    rt_buf expected = golden_text(&p.golden, "\"text\":");
    cr_expect_str_eq(text.data, expected.data);
    rt_buf_free(&text);
    rt_buf_free(&expected);
    close_published(&p);
}

Test(llama2c, a_prompt_is_cut_into_the_same_pieces_and_continued_alike)
{
    published p = open_published();
    rt_buf prompt = golden_text(&p.golden, "\"prompt2\":"),
           expected = golden_text(&p.golden, "\"text2\":");
    /* the golden text was cut by its length, not by a number of tokens */
    rt_buf text = continue_text(&p, prompt.data, 100, NULL);
    cr_expect_geq(text.n, expected.n);
    cr_expect_eq(strncmp(text.data, expected.data, expected.n), 0, "found:    %s\nexpected: %s",
                 text.data, expected.data);
    rt_buf_free(&text);
    rt_buf_free(&prompt);
    rt_buf_free(&expected);
    close_published(&p);
}
