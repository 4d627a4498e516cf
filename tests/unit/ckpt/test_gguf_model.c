#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/base/fs.h"
#include "common/ckpt/gguf_model.h"
#include "common/text/tokenizer.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_folder.h"

static const model_config llama = {.arch = MODEL_ARCH_LLAMA,
                                   .n_vocab = 9,
                                   .d_model = 32,
                                   .n_layers = 2,
                                   .n_heads = 4,
                                   .n_kv_heads = 2,
                                   .d_head = 6,
                                   .d_ff = 10,
                                   .seq_len_max = 64,
                                   .rope_theta = 50000,
                                   .norm_eps = 1e-5f,
                                   .tied = false,
                                   .bos_id = 1,
                                   .eos_id = 2,
                                   .pad_id = 2};
static const model_config t5 = {.arch = MODEL_ARCH_T5,
                                .n_vocab = 9,
                                .d_model = 16,
                                .n_layers = 2,
                                .n_decoder_layers = 1,
                                .n_heads = 2,
                                .n_kv_heads = 2,
                                .d_head = 4,
                                .d_ff = 10,
                                .seq_len_max = 64,
                                .norm_eps = 1e-6f,
                                .tied = true,
                                .eos_id = 2,
                                .rel_buckets = 8,
                                .rel_distance_max = 128,
                                .ff_act = MODEL_FF_GATED_GELU};

typedef struct toy {
    char *folder;
    char path[512];
    model_config config;
    param_table table;
    float *weights;
    weights_in_memory held;
    weight_source source;
    piece_list pieces;
} toy;

static void add(piece_list *list, const char *text, piece_type type)
{
    cr_assert_eq(piece_list_add(list, text, strlen(text), -(float)list->n, type, NULL), RT_OK);
}

static toy *toy_new(const model_config *config)
{
    toy *t = rt_calloc(1, sizeof *t);
    t->folder = temp_folder_new();
    snprintf(t->path, sizeof t->path, "%s/m.gguf", t->folder);
    t->config = *config;
    cr_assert_eq(param_table_build(config, &t->table, NULL), RT_OK);
    t->weights = rt_calloc(t->table.n_total, sizeof *t->weights);
    param_table_init(&t->table, config, 5, t->weights);
    t->held = (weights_in_memory){.table = &t->table, .weights = t->weights};
    t->source = weights_in_memory_source(&t->held);
    t->pieces = (piece_list){
        .bpe = true, .add_dummy_prefix = true, .unk_id = 0, .bos_id = 1, .eos_id = 2, .pad_id = -1};
    add(&t->pieces, "<unk>", PIECE_UNKNOWN);
    add(&t->pieces, "<s>", PIECE_CONTROL);
    add(&t->pieces, "</s>", PIECE_CONTROL);
    add(&t->pieces, "\n", PIECE_USER);
    add(&t->pieces,
        "\xE2\x96\x81"
        "a",
        PIECE_NORMAL);
    add(&t->pieces, "a", PIECE_NORMAL);
    add(&t->pieces, "\xE2\x96\x81", PIECE_NORMAL);
    return t;
}

static void toy_free(toy *t)
{
    temp_folder_free(t->folder);
    param_table_free(&t->table);
    piece_list_free(&t->pieces);
    free(t->weights);
    free(t);
}

static void write_toy(const toy *t, gguf_tensor_type type)
{
    rt_error err = {0};
    gguf_model_options how = {
        .type = type, .name = "toy", .chat_template = "{{ x }}", .task = "{\"a\":1}"};
    cr_assert_eq(gguf_model_write(t->path, &t->config, &t->source, &t->pieces, &how, NULL, &err),
                 RT_OK, "%s", err.text);
}

static gguf_model *open_toy(const toy *t)
{
    gguf_model *m = NULL;
    rt_error err = {0};
    cr_assert_eq(gguf_model_open(t->path, &m, &err), RT_OK, "%s", err.text);
    return m;
}

Test(gguf_model, every_type_comes_back_within_what_it_can_lose)
{
    static const struct {
        gguf_tensor_type type;
        double relative, absolute;
    } cases[] = {{GGUF_TENSOR_F32, 0, 0},
                 {GGUF_TENSOR_F16, 1.0 / 2048, 1e-7},
                 {GGUF_TENSOR_BF16, 1.0 / 256, 0},
                 {GGUF_TENSOR_Q8_0, 1.0 / 2048, 0.01}};
    for (int tied = 0; tied < 2; tied++) {
        for (size_t k = 0; k < RT_COUNT(cases); k++) {
            model_config c = llama;
            c.tied = tied;
            toy *t = toy_new(&c);
            write_toy(t, cases[k].type);
            gguf_model *m = open_toy(t);
            const model_config *read = gguf_model_config(m);
            cr_expect(read->n_vocab == c.n_vocab && read->d_model == c.d_model &&
                      read->n_layers == c.n_layers && read->n_heads == c.n_heads &&
                      read->n_kv_heads == c.n_kv_heads && read->d_head == c.d_head &&
                      read->d_ff == c.d_ff && read->seq_len_max == c.seq_len_max &&
                      read->rope_theta == c.rope_theta && read->norm_eps == c.norm_eps &&
                      read->tied == c.tied && read->bos_id == 1 && read->eos_id == 2 &&
                      read->pad_id == 2);
            float *back = rt_calloc(t->table.n_total, sizeof *back);
            weight_source source = gguf_model_source(m);
            weight_source_read_all(&source, back);
            for (size_t i = 0; i < t->table.n_total; i++) {
                double x = t->weights[i], y = back[i];
                cr_assert_leq(fabs(x - y), cases[k].relative * fabs(x) + cases[k].absolute,
                              "type %zu, element %zu: %g and %g", k, i, x, y);
            }
            free(back);
            gguf_model_close(m);
            toy_free(t);
        }
    }
}

Test(gguf_model, q_and_k_rows_lie_as_the_converter_of_llama_cpp_puts_them)
{
    toy *t = toy_new(&llama);
    write_toy(t, GGUF_TENSOR_F32);
    gguf_model *m = open_toy(t);
    const gguf *f = gguf_model_file(m);
    static const struct {
        const char *hf, *gguf;
        size_t n_heads;
    } cases[] = {{"model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight", 4},
                 {"model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight", 2}};
    for (size_t k = 0; k < RT_COUNT(cases); k++) {
        const float *w =
            t->weights + t->table.params[param_table_find(&t->table, cases[k].hf)].offset;
        const gguf_tensor *tensor = gguf_find_tensor(f, cases[k].gguf);
        float row[32];
        /* reshape(n_heads, 2, 3, cols).swapaxes(1, 2) */
        for (size_t h = 0; h < cases[k].n_heads; h++)
            for (size_t c = 0; c < 3; c++)
                for (size_t s = 0; s < 2; s++) {
                    gguf_read(f, tensor, ((h * 3 + c) * 2 + s) * 32, 32, row);
                    cr_expect_eq(memcmp(row, w + ((h * 2 + s) * 3 + c) * 32, sizeof row), 0);
                }
    }
    gguf_model_close(m);
    toy_free(t);
}

Test(gguf_model, vectors_stay_f32_and_rows_that_are_no_blocks_become_f16)
{
    toy *t = toy_new(&llama);
    write_toy(t, GGUF_TENSOR_Q8_0);
    gguf_model *m = open_toy(t);
    const gguf *f = gguf_model_file(m);
    cr_expect_str_eq(gguf_find_tensor(f, "blk.0.attn_norm.weight")->kind->name, "F32");
    cr_expect_str_eq(gguf_find_tensor(f, "blk.0.ffn_up.weight")->kind->name, "Q8_0");
    cr_expect_str_eq(gguf_find_tensor(f, "blk.0.ffn_down.weight")->kind->name, "F16",
                     "its rows have 10 elements");
    uint64_t type = 0;
    cr_expect(gguf_size(gguf_find(f, "general.file_type"), &type) && type == 7);
    gguf_model_close(m);
    toy_free(t);
}

Test(gguf_model, the_tokenizer_comes_back_and_is_filled_up_to_the_rows)
{
    toy *t = toy_new(&llama);
    piece_list back = {0};
    rt_error err = {0};
    const char charsmap[] = {1, 2, 3};
    cr_assert_eq(rt_buf_add(&t->pieces.charsmap, charsmap, 3, NULL), RT_OK);
    write_toy(t, GGUF_TENSOR_F32);
    gguf_model *m = open_toy(t);
    const gguf *f = gguf_model_file(m);
    cr_assert_eq(gguf_pieces_read("m", f, &back, &err), RT_OK, "%s", err.text);
    cr_assert_eq(back.n, 9); /* seven pieces for nine rows */
    cr_expect(back.bpe && back.add_dummy_prefix && !back.remove_extra_whitespaces);
    cr_expect(back.unk_id == 0 && back.bos_id == 1 && back.eos_id == 2 && back.pad_id == 2);
    for (size_t i = 0; i < t->pieces.n; i++) {
        cr_expect_eq(back.pieces[i].n, t->pieces.pieces[i].n);
        cr_expect_eq(back.pieces[i].type, t->pieces.pieces[i].type, "%zu", i);
        cr_expect_eq(back.pieces[i].score, t->pieces.pieces[i].score);
    }
    cr_expect_eq(back.pieces[8].type, PIECE_UNUSED);
    cr_expect(back.charsmap.n == 3 && memcmp(back.charsmap.data, charsmap, 3) == 0);
    cr_expect(gguf_text_is(gguf_find(f, "tokenizer.chat_template"), "{{ x }}"));
    cr_expect(gguf_text_is(gguf_find(f, GGUF_KEY_TASK), "{\"a\":1}"));
    /* in the file the line break is a normal piece: llama.cpp would put a space behind it */
    gguf_items types = gguf_items_of(gguf_find(f, "tokenizer.ggml.token_type"));
    double type = 0;
    for (size_t i = 0; i < 4; i++) cr_assert(gguf_next_number(&types, &type));
    cr_expect_eq(type, PIECE_NORMAL);
    piece_list_free(&back);
    gguf_model_close(m);
    toy_free(t);
}

Test(gguf_model, a_unigram_tokenizer_is_called_t5_whatever_the_model)
{
    toy *t = toy_new(&llama);
    t->pieces.bpe = false;
    write_toy(t, GGUF_TENSOR_F32);
    gguf_model *m = open_toy(t);
    piece_list back = {0};
    cr_expect(gguf_text_is(gguf_find(gguf_model_file(m), "tokenizer.ggml.model"), "t5"));
    cr_assert_eq(gguf_pieces_read("m", gguf_model_file(m), &back, NULL), RT_OK);
    cr_expect_eq(back.pieces[3].type, PIECE_USER, "its normalisation would lose the line break");
    piece_list_free(&back);
    gguf_model_close(m);
    toy_free(t);
}

Test(gguf_model, t5_has_its_keys_and_a_scaled_matrix_for_a_tied_head)
{
    toy *t = toy_new(&t5);
    gguf *f = NULL;
    rt_error err = {0};
    write_toy(t, GGUF_TENSOR_F32);
    cr_assert_eq(gguf_open(t->path, &f, &err), RT_OK, "%s", err.text);
    static const struct {
        const char *key;
        uint64_t value;
    } keys[] = {{"t5.block_count", 2},
                {"t5.decoder_block_count", 1},
                {"t5.attention.key_length", 4},
                {"t5.attention.relative_buckets_count", 8},
                {"t5.decoder_start_token_id", 0}};
    for (size_t i = 0; i < RT_COUNT(keys); i++) {
        uint64_t value = 99;
        cr_expect(gguf_size(gguf_find(f, keys[i].key), &value) && value == keys[i].value, "%s",
                  keys[i].key);
    }
    bool begins = true, ends = false;
    cr_expect(gguf_truth(gguf_find(f, "tokenizer.ggml.add_bos_token"), &begins) && !begins);
    cr_expect(gguf_truth(gguf_find(f, "tokenizer.ggml.add_eos_token"), &ends) && ends);
    const gguf_tensor *head = gguf_find_tensor(f, "output.weight");
    cr_assert_not_null(head);
    float row[16];
    gguf_read(f, head, 16, 16, row);
    for (size_t i = 0; i < 16; i++) cr_expect_eq(row[i], t->weights[16 + i] * 0.25f);
    cr_expect_not_null(gguf_find_tensor(f, "dec.blk.0.cross_attn_q.weight"));
    cr_expect_eq(gguf_count_tensors(f), t->table.n_params, "the alias became the scaled head");
    gguf_close(f);
    t->config.rel_distance_max = 64;
    gguf_model_options how = {.name = "x"};
    cr_expect_eq(gguf_model_write(t->path, &t->config, &t->source, &t->pieces, &how, NULL, &err),
                 RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "64"), "%s", err.text);
    toy_free(t);
}

/* llama.cpp knows no sharing: each layer gets its copy. A factorised embedding has no place. */
Test(gguf_model, shared_layers_are_written_out_and_a_factorised_embedding_is_refused)
{
    model_config c = llama;
    c.n_layers = 3;
    c.n_layer_groups = 1;
    toy *t = toy_new(&c);
    rt_error err = {0};
    write_toy(t, GGUF_TENSOR_F32);
    gguf_model *m = open_toy(t);
    const gguf *f = gguf_model_file(m);
    cr_expect_eq(gguf_model_config(m)->n_layer_groups, 0);
    const gguf_tensor *first = gguf_find_tensor(f, "blk.0.attn_q.weight"),
                      *last = gguf_find_tensor(f, "blk.2.attn_q.weight");
    cr_assert(first != NULL && last != NULL && first->n == last->n);
    float *a = rt_calloc(first->n, sizeof *a), *b = rt_calloc(last->n, sizeof *b);
    gguf_read(f, first, 0, first->n, a);
    gguf_read(f, last, 0, last->n, b);
    cr_expect_eq(memcmp(a, b, first->n * sizeof *a), 0);
    free(a);
    free(b);
    gguf_model_close(m);
    toy_free(t);
    c.d_embed = 8;
    t = toy_new(&c);
    gguf_model_options how = {.name = "x"};
    cr_expect_eq(gguf_model_write(t->path, &c, &t->source, &t->pieces, &how, NULL, &err),
                 RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "student.d_embed"), "%s", err.text);
    toy_free(t);
}

Test(gguf_model, more_pieces_than_rows_are_refused)
{
    toy *t = toy_new(&llama);
    rt_error err = {0};
    gguf_model_options how = {.name = "x"};
    for (char c = 'b'; c < 'f'; c++) {
        char text[] = {c, '\0'};
        add(&t->pieces, text, PIECE_NORMAL);
    }
    cr_expect_eq(gguf_model_write(t->path, &llama, &t->source, &t->pieces, &how, NULL, &err),
                 RT_INVALID);
    cr_expect_not_null(strstr(err.text, "11 pieces"), "%s", err.text);
    cr_expect_not(rt_fs_exists(t->path));
    toy_free(t);
}

static void expect_refused(const toy *t, const char *from, const char *to, rt_status status,
                           const char *named)
{
    rt_buf file = {0};
    rt_error err = {0};
    gguf_model *m = NULL;
    write_toy(t, GGUF_TENSOR_F32);
    temp_folder_read(t->folder, "m.gguf", &file);
    char *at = memmem(file.data, file.n, from, strlen(from));
    cr_assert_not_null(at, "%s", from);
    memcpy(at, to, strlen(from));
    temp_folder_write(t->folder, "m.gguf", file.data, file.n);
    cr_expect_eq(gguf_model_open(t->path, &m, &err), status, "%s: %s", to, err.text);
    cr_expect_not_null(strstr(err.text, named), "%s not in: %s", named, err.text);
    cr_expect_null(m);
    rt_buf_free(&file);
}

Test(gguf_model, what_cannot_be_followed_is_named)
{
    toy *t = toy_new(&llama);
    expect_refused(t, "blk.1.ffn_up.weight", "blk.1.ffn_xx.weight", RT_CORRUPT,
                   "blk.1.ffn_up.weight is missing");
    expect_refused(t, "llama.embedding_length", "llama.embedding_lengzz", RT_CORRUPT,
                   "llama.embedding_length");
    expect_refused(t, "llama", "gemma", RT_UNSUPPORTED, "general.architecture");
    expect_refused(t, "tokenizer.chat_template", "llama.rope.scaling.type", RT_UNSUPPORTED,
                   "llama.rope.scaling.type is set");
    expect_refused(t, "blk.1.ffn_gate.weight", "blk.1.ffn_gatX.weight", RT_CORRUPT,
                   "blk.1.ffn_gate.weight");
    toy_free(t);
}

/* ---- a published vocabulary ---- */

static rt_buf gunzip(const char *path)
{
    rt_buf out = {0};
    char chunk[65536];
    int n;
    gzFile file = gzopen(path, "rb");
    cr_assert_not_null(file);
    while ((n = gzread(file, chunk, sizeof chunk)) > 0)
        cr_assert_eq(rt_buf_add(&out, chunk, (size_t)n, NULL), RT_OK);
    gzclose(file);
    return out;
}

/* One line of ids. */
static size_t read_ids(char *line, uint32_t *ids, size_t n_max)
{
    size_t n = 0;
    for (char *at = strtok(line, " "); at != NULL && n < n_max; at = strtok(NULL, " "))
        ids[n++] = (uint32_t)strtoul(at, NULL, 10);
    return n;
}

static tokenizer *load_pieces(const piece_list *list)
{
    char *folder = temp_folder_new();
    rt_buf bytes = {0};
    tokenizer *t = NULL;
    rt_error err = {0};
    cr_assert_eq(piece_list_write(list, &bytes, &err), RT_OK, "%s", err.text);
    temp_folder_write(folder, "t", bytes.data, bytes.n);
    cr_assert_eq(tokenizer_load(temp_folder_path(folder, "t"), &t, &err), RT_OK, "%s", err.text);
    rt_buf_free(&bytes);
    temp_folder_free(folder);
    return t;
}

Test(gguf_model, a_published_vocabulary_cuts_its_golden_texts_into_its_golden_ids)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char path[1024];
    rt_error err = {0};
    rt_buf texts = {0}, golden = {0};
    gguf *f = NULL;
    piece_list list = {0};
    if (!shared_data_path("weights/ggml-vocab-llama-spm.gguf.gz", path, sizeof path))
        cr_skip_test("not here");
    rt_buf file = gunzip(path);
    cr_assert_eq(gguf_open_bytes("spm", file.data, file.n, &f, &err), RT_OK, "%s", err.text);
    cr_expect_eq(gguf_count_tensors(f), 0);
    cr_assert_eq(gguf_pieces_read("spm", f, &list, &err), RT_OK, "%s", err.text);
    cr_expect_eq(list.n, 32000);
    tokenizer *t = load_pieces(&list);
    cr_assert(shared_data_path("weights/ggml-vocab-llama-spm.gguf.inp", path, sizeof path));
    cr_assert_eq(rt_fs_read(path, 1 << 20, &texts, &err), RT_OK);
    cr_assert(shared_data_path("weights/ggml-vocab-llama-spm.gguf.out", path, sizeof path));
    cr_assert_eq(rt_fs_read(path, 1 << 20, &golden, &err), RT_OK);
    char *text = texts.data, *line = golden.data;
    size_t n_texts = 0;
    for (char *end; *line != '\0' && (end = strstr(text, mark)) != NULL; n_texts++) {
        uint32_t wanted[512];
        id_list ids = {0};
        char *line_end = strchr(line, '\n');
        *line_end = '\0';
        size_t n = read_ids(line, wanted, RT_COUNT(wanted));
        cr_assert_eq(tokenizer_encode(t, text, (size_t)(end - text), &ids, &err), RT_OK);
        cr_assert_eq(ids.n, n, "text %zu has %zu ids, expected %zu", n_texts, ids.n, n);
        for (size_t i = 0; i < n; i++)
            cr_expect_eq(ids.ids[i], wanted[i], "text %zu, id %zu", n_texts, i);
        id_list_free(&ids);
        text = end + strlen(mark);
        line = line_end + 1;
    }
    cr_expect_eq(n_texts, 46);
    tokenizer_free(t);
    piece_list_free(&list);
    gguf_close(f);
    rt_buf_free(&file);
    rt_buf_free(&texts);
    rt_buf_free(&golden);
}

Test(gguf_model, a_vocabulary_of_another_kind_is_read_and_its_tokenizer_refused)
{
    char path[1024];
    rt_error err = {0};
    gguf *f = NULL;
    piece_list list = {0};
    if (!shared_data_path("weights/ggml-vocab-gpt-2.gguf.gz", path, sizeof path))
        cr_skip_test("not here");
    rt_buf file = gunzip(path);
    cr_assert_eq(gguf_open_bytes("gpt-2", file.data, file.n, &f, &err), RT_OK, "%s", err.text);
    cr_expect_eq(gguf_find(f, "tokenizer.ggml.tokens")->n_items, 50257);
    cr_expect_eq(gguf_pieces_read("gpt-2", f, &list, &err), RT_UNSUPPORTED);
    cr_expect_not_null(strstr(err.text, "--tokenizer"), "%s", err.text);
    gguf_close(f);
    rt_buf_free(&file);
}
