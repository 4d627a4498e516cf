/* The bytes of tokens, joined, are the text that the tokenizer decodes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/text/token_table.h"
#include "common/text/utf8.h"

static tokenizer *open_teacher(void)
{
    tokenizer *t = NULL;
    char path[512];
    rt_error err = {0};
    snprintf(path, sizeof path, "%s/examples/arithmetic/teacher/tokenizer.model",
             getenv("RT_SOURCE_DIR"));
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    return t;
}

static rt_status two_sentences(void *context, const char **text, size_t *n, rt_error *err)
{
    int *i = context;
    (void)err;
    *text = "Nina fills 4 trays with 6 shells each. How many shells does she have?";
    *n = strlen(*text);
    return (*i)++ < 50 ? RT_OK : RT_END;
}

/* With byte pieces, so that characters it never saw are cut into bytes. */
static tokenizer *train_with_bytes(void)
{
    char folder[] = "/tmp/retort-tokens.XXXXXX", path[64];
    int i = 0;
    tokenizer *t = NULL;
    rt_error err = {0};
    tokenizer_training how = {.bpe = true, .vocab_size = 320, .byte_fallback = true};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.model", folder);
    cr_assert_eq(tokenizer_train(&how, two_sentences, &i, path, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
    return t;
}

static void join(const token_table *table, const uint32_t *ids, size_t n, rt_buf *out)
{
    rt_buf raw = {0};
    bool at_start = true;
    cr_assert_eq(rt_buf_add(&raw, "", 0, NULL), RT_OK);
    for (size_t i = 0; i < n; i++) {
        token_bytes b = token_table_get(table, ids[i], &at_start);
        cr_assert_eq(rt_buf_add(&raw, b.bytes, b.n, NULL), RT_OK);
    }
    cr_assert_eq(utf8_repair(raw.data, raw.n, out, NULL), RT_OK);
    rt_buf_free(&raw);
}

static void expect_same(const tokenizer *t, const token_table *table, const uint32_t *ids, size_t n)
{
    rt_buf joined = {0}, decoded = {0};
    join(table, ids, n, &joined);
    cr_assert_eq(tokenizer_decode(t, ids, n, &decoded, NULL), RT_OK);
    cr_assert_eq(rt_buf_add(&decoded, "", 0, NULL), RT_OK);
    cr_expect_str_eq(joined.data, decoded.data);
    rt_buf_free(&joined);
    rt_buf_free(&decoded);
}

static void check_texts(tokenizer *t)
{
    static const char *const texts[] = {"4*6=24. 24+9=33. # 33", " two  blanks ", "a\nb", "",
                                        "caf\xC3\xA9 \xF0\x9F\x98\x80!"};
    token_table *table = NULL;
    cr_assert_eq(token_table_new(t, &table, NULL), RT_OK);
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        id_list ids = {0};
        cr_assert_eq(tokenizer_encode(t, texts[i], strlen(texts[i]), &ids, NULL), RT_OK);
        expect_same(t, table, ids.ids, ids.n);
        id_list_free(&ids);
    }
    for (uint32_t id = 0; id < tokenizer_size(t); id++) {
        uint32_t pair[] = {id, id, tokenizer_eos(t)};
        expect_same(t, table, pair, 3);
    }
    bool at_start = true;
    token_bytes eos = token_table_get(table, tokenizer_eos(t), &at_start);
    cr_expect_eq(eos.n, 0);
    cr_expect_str_eq(token_table_name(table, tokenizer_eos(t)), "</s>");
    cr_expect_eq(token_table_get(table, UINT32_MAX, &at_start).n, 0);
    cr_expect(at_start);
    cr_expect_str_eq(token_table_name(table, UINT32_MAX), "");
    token_table_free(table);
    tokenizer_free(t);
}

Test(token_table, joins_to_the_decoded_text_of_a_published_tokenizer)
{
    check_texts(open_teacher());
}

Test(token_table, joins_to_the_decoded_text_with_byte_pieces)
{
    check_texts(train_with_bytes());
}

Test(token_table, a_byte_piece_is_one_byte)
{
    tokenizer *t = train_with_bytes();
    token_table *table = NULL;
    size_t n_bytes = 0;
    cr_assert_eq(token_table_new(t, &table, NULL), RT_OK);
    for (uint32_t id = 0; id < tokenizer_size(t); id++) {
        if (strncmp(tokenizer_piece(t, id), "<0x", 3) != 0) continue;
        bool at_start = true;
        token_bytes b = token_table_get(table, id, &at_start);
        cr_expect_eq(b.n, 1);
        cr_expect(!at_start);
        cr_expect_eq((unsigned char)b.bytes[0], strtoul(tokenizer_piece(t, id) + 3, NULL, 16));
        n_bytes++;
    }
    cr_expect_eq(n_bytes, 256);
    token_table_free(table);
    tokenizer_free(t);
}
