#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/text/piece_list.h"
#include "common/text/tokenizer.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_folder.h"

static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    static const char *const lines[] = {"nine sisters eat three apples", "the answer is 17\n",
                                        "two packages hold four guitars"};
    unsigned *i = context;
    (void)err;
    if (*i == 90) return RT_END;
    *text = lines[(*i)++ % RT_COUNT(lines)];
    *n = strlen(*text);
    return RT_OK;
}

static const char sample[] = "Nine sisters \xC3\xA9t\xC3\xA9  hold 17 \xEF\xBC\xA1pples\nthe";

static void expect_same_ids(const tokenizer *a, const tokenizer *b, const char *text)
{
    id_list x = {0}, y = {0};
    cr_assert_eq(tokenizer_encode(a, text, strlen(text), &x, NULL), RT_OK);
    cr_assert_eq(tokenizer_encode(b, text, strlen(text), &y, NULL), RT_OK);
    cr_assert_eq(x.n, y.n, "%s", text);
    for (size_t i = 0; i < x.n; i++) cr_expect_eq(x.ids[i], y.ids[i], "%s: id %zu", text, i);
    id_list_free(&x);
    id_list_free(&y);
}

/* Read a model's pieces, write them as another model, and compare both. */
static void expect_round_trip(const char *folder, const char *path)
{
    rt_buf bytes = {0}, again = {0};
    piece_list list = {0};
    rt_error err = {0};
    tokenizer *a = NULL, *b = NULL;
    cr_assert_eq(rt_fs_read(path, 1 << 27, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(piece_list_read(bytes.data, bytes.n, &list, &err), RT_OK, "%s", err.text);
    cr_assert_eq(piece_list_write(&list, &again, &err), RT_OK, "%s", err.text);
    temp_folder_write(folder, "again", again.data, again.n);
    cr_assert_eq(tokenizer_load(path, &a, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(temp_folder_path(folder, "again"), &b, &err), RT_OK, "%s",
                 err.text);
    cr_expect_eq(tokenizer_size(a), list.n);
    const int ids[] = {list.unk_id, list.bos_id, list.eos_id, list.pad_id};
    for (tokenizer_symbol s = 0; s < TOKENIZER_N_SYMBOLS; s++) {
        cr_expect_eq(tokenizer_has(a, s), ids[s] >= 0, "symbol %d", (int)s);
        cr_expect_eq(tokenizer_has(b, s), ids[s] >= 0, "symbol %d", (int)s);
    }
    cr_expect_eq((int)tokenizer_unk(a), list.unk_id);
    for (uint32_t i = 0; i < list.n; i++) {
        const char *text = tokenizer_piece(a, i);
        cr_assert_eq(strlen(text), list.pieces[i].n);
        cr_assert_eq(memcmp(text, piece_list_text(&list, i), list.pieces[i].n), 0);
    }
    expect_same_ids(a, b, sample);
    expect_same_ids(a, b, "");
    expect_same_ids(a, b, "  two   packages ");
    tokenizer_free(a);
    tokenizer_free(b);
    piece_list_free(&list);
    rt_buf_free(&bytes);
    rt_buf_free(&again);
}

Test(piece_list, what_is_read_is_written_as_an_equal_tokenizer)
{
    char *folder = temp_folder_new();
    for (int bpe = 0; bpe < 2; bpe++) {
        unsigned i = 0;
        rt_error err = {0};
        char path[512];
        tokenizer_training how = {.bpe = bpe, .vocab_size = 340, .byte_fallback = bpe};
        if (!bpe) how.vocab_size = 60;
        snprintf(path, sizeof path, "%s", temp_folder_path(folder, "t.model"));
        cr_assert_eq(tokenizer_train(&how, next_sentence, &i, path, &err), RT_OK, "%s", err.text);
        expect_round_trip(folder, path);
    }
    temp_folder_free(folder);
}

Test(piece_list, published_models_keep_their_pieces_and_ids)
{
    static const char *const names[] = {"weights/test_model.model", "weights/test_ja_model.model"};
    char *folder = temp_folder_new(), path[1024];
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (!shared_data_path(names[i], path, sizeof path)) cr_skip_test("not here");
        expect_round_trip(folder, path);
    }
    temp_folder_free(folder);
}

Test(piece_list, damaged_bytes_are_refused_or_read_and_never_crash)
{
    char *folder = temp_folder_new();
    unsigned n_seen = 0;
    rt_buf file = {0};
    tokenizer_training how = {.bpe = true, .vocab_size = 40};
    cr_assert_eq(tokenizer_train(&how, next_sentence, &n_seen, temp_folder_path(folder, "t"), NULL),
                 RT_OK);
    temp_folder_read(folder, "t", &file);
    size_t n_refused = 0;
    for (size_t n = 0; n < RT_MIN(file.n, (size_t)2000); n++) {
        piece_list list = {0};
        rt_error err = {0};
        char *cut = malloc(n + 1);
        memcpy(cut, file.data, n);
        if (piece_list_read(cut, n, &list, &err) != RT_OK) {
            n_refused++;
            cr_expect_neq(err.text[0], '\0');
        }
        piece_list_free(&list);
        free(cut);
        file.data[n] = (char)~file.data[n];
        if (piece_list_read(file.data, file.n, &list, &err) == RT_OK) {
            rt_buf out = {0};
            (void)!piece_list_write(&list, &out, &err);
            rt_buf_free(&out);
        }
        piece_list_free(&list);
        file.data[n] = (char)~file.data[n];
    }
    cr_expect_gt(n_refused, 1000);
    rt_buf_free(&file);
    temp_folder_free(folder);
}

Test(piece_list, a_list_that_no_library_would_load_is_refused_by_name)
{
    piece_list list = {.unk_id = 0, .bos_id = -1, .eos_id = -1, .pad_id = -1};
    rt_buf out = {0};
    rt_error err = {0};
    cr_expect_eq(piece_list_write(&list, &out, &err), RT_INVALID);
    cr_assert_eq(piece_list_add(&list, "a", 1, 0, PIECE_NORMAL, NULL), RT_OK);
    cr_expect_eq(piece_list_write(&list, &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "unknown"), "%s", err.text);
    cr_assert_eq(piece_list_add(&list, "u", 1, 0, PIECE_UNKNOWN, NULL), RT_OK);
    cr_assert_eq(piece_list_add(&list, "a", 1, 0, PIECE_NORMAL, NULL), RT_OK);
    cr_expect_eq(piece_list_write(&list, &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "0 and 2"), "%s", err.text);
    rt_buf_free(&out);
    piece_list_free(&list);
}
