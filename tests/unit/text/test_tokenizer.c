#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/rng.h"
#include "common/text/tokenizer.h"

static char folder[] = "/tmp/rt-tokenizer-XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(tokenizer, .init = make_folder, .fini = remove_folder);

/* A small language: enough words for some hundred pieces. */
static const char *const words[] = {
    "premise",  "hypothesis", "man",     "woman",    "playing", "guitar", "street", "answer",
    "apples",   "because",    "walking", "children", "number",  "there",  "after",  "before",
    "standing", "wooden",     "holding", "packages", "sisters", "lunch",  "eating", "goodbye",
};

typedef struct word_source {
    size_t i, n;
    size_t i_fail; /* SIZE_MAX: never */
    char text[256];
} word_source;

static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    word_source *s = context;
    if (s->i == s->i_fail) return rt_fail(err, RT_CORRUPT, "row %zu is broken", s->i);
    if (s->i == s->n) return RT_END;
    rng_key key = rng_key_make(s->i, "sentence", (rt_id){0}, 0);
    size_t k = 0;
    for (uint64_t i = 0; i < 10; i++)
        k += (size_t)snprintf(s->text + k, sizeof s->text - k, "%s%s", i == 0 ? "" : " ",
                              words[rng_below(key, i, RT_COUNT(words))]);
    k += (size_t)snprintf(s->text + k, sizeof s->text - k, "\nAnswer: %d.",
                          (int)rng_below(key, 11, 1000));
    s->i++;
    *text = s->text;
    *n = k;
    return RT_OK;
}

static const tokenizer_training defaults = {
    .vocab_size = 400, .byte_fallback = true, .split_digits = true};

static rt_status train(const tokenizer_training *settings, const char *name, size_t n_sentences,
                       tokenizer **out, rt_error *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    word_source source = {.n = n_sentences, .i_fail = SIZE_MAX};
    rt_status st = tokenizer_train(settings, next_sentence, &source, path, err);
    return st == RT_OK ? tokenizer_load(path, out, err) : st;
}

static tokenizer *trained(const tokenizer_training *settings)
{
    tokenizer *t = NULL;
    rt_error err = {0};
    cr_assert_eq(train(settings, "a.model", 300, &t, &err), RT_OK, "%s", err.text);
    return t;
}

static void expect_round_trip(const tokenizer *t, const char *text, const char *expected)
{
    id_list ids = {0};
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(tokenizer_encode(t, text, strlen(text), &ids, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_decode(t, ids.ids, ids.n, &out, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(out.data == NULL ? "" : out.data, expected);
    id_list_free(&ids);
    rt_buf_free(&out);
}

static void expect_exact_round_trips(const tokenizer *t)
{
    static const char *const texts[] = {
        "a\nb",
        "\n",
        "\n\nPremise",
        "ends with a line\n",
        "man walking",
        " leading and trailing ",
        "two  spaces",
        "   ",
        "unseen: zebra quiz & #42!",
        "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xAE\xE7\x8C\xAB",
        "caf\xC3\xA9 \xF0\x9F\x98\x80",
        "(84 / 2) = 42.00",
        "",
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) expect_round_trip(t, texts[i], texts[i]);
}

Test(tokenizer, unigram_text_comes_back_exactly)
{
    tokenizer *t = trained(&defaults);
    expect_exact_round_trips(t);
    tokenizer_free(t);
}

Test(tokenizer, bpe_text_comes_back_exactly)
{
    tokenizer_training s = defaults;
    s.bpe = true;
    tokenizer *t = trained(&s);
    cr_expect_eq(tokenizer_size(t), 400);
    expect_exact_round_trips(t);
    tokenizer_free(t);
}

Test(tokenizer, a_newline_is_one_piece_of_its_own)
{
    tokenizer *t = trained(&defaults);
    id_list ids = {0};
    size_t n_newlines = 0;
    cr_assert_eq(tokenizer_encode(t, "man\nman\n\nman", 12, &ids, NULL), RT_OK);
    for (size_t i = 0; i < ids.n; i++)
        n_newlines += strcmp(tokenizer_piece(t, ids.ids[i]), "\n") == 0;
    cr_expect_eq(n_newlines, 3);
    id_list_free(&ids);
    tokenizer_free(t);
}

Test(tokenizer, trained_symbols_have_their_fixed_ids)
{
    tokenizer *t = trained(&defaults);
    cr_expect_eq(tokenizer_unk(t), 0);
    cr_expect_eq(tokenizer_bos(t), 1);
    cr_expect_eq(tokenizer_eos(t), 2);
    cr_expect_eq(tokenizer_pad(t), 3);
    for (int i = 0; i < TOKENIZER_N_SYMBOLS; i++)
        cr_expect(tokenizer_has(t, (tokenizer_symbol)i), "symbol %d", i);
    cr_expect_null(tokenizer_piece(t, (uint32_t)tokenizer_size(t)));
    tokenizer_free(t);
}

Test(tokenizer, control_ids_decode_to_nothing_and_unknown_ids_are_refused)
{
    tokenizer *t = trained(&defaults);
    uint32_t control[] = {1, 2, 3, 2};
    uint32_t beyond = (uint32_t)tokenizer_size(t);
    rt_buf out = {0};
    rt_error err = {0};
    cr_expect_eq(tokenizer_decode(t, control, RT_COUNT(control), &out, &err), RT_OK);
    cr_expect_eq(out.n, 0);
    cr_expect_eq(tokenizer_decode(t, &beyond, 1, &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "the vocabulary has"), "%s", err.text);
    rt_buf_free(&out);
    tokenizer_free(t);
}

Test(tokenizer, what_a_model_writes_beyond_the_vocabulary_is_no_text)
{
    tokenizer *t = trained(&defaults);
    id_list ids = {0};
    rt_buf plain = {0}, out = {0};
    rt_error err = {0};
    cr_assert_eq(tokenizer_encode(t, "the box", 7, &ids, NULL), RT_OK);
    cr_assert_eq(tokenizer_decode(t, ids.ids, ids.n, &plain, NULL), RT_OK);
    cr_assert_eq(id_list_add(&ids, (uint32_t)tokenizer_size(t), NULL), RT_OK);
    cr_assert_eq(id_list_add(&ids, UINT32_MAX, NULL), RT_OK);
    cr_expect_eq(tokenizer_decode_output(t, ids.ids, ids.n, &out, &err), RT_OK, "%s", err.text);
    cr_assert_eq(out.n, plain.n);
    cr_expect_eq(memcmp(out.data, plain.data, plain.n), 0);
    rt_buf_clear(&out);
    cr_expect_eq(tokenizer_decode_output(t, NULL, 0, &out, &err), RT_OK, "nothing written");
    cr_expect_eq(out.n, 0);
    rt_buf_free(&plain);
    rt_buf_free(&out);
    id_list_free(&ids);
    tokenizer_free(t);
}

Test(tokenizer, a_prompt_has_bos_before_it_or_eos_behind_it)
{
    tokenizer *t = trained(&defaults);
    id_list plain = {0}, before = {0}, behind = {0};
    cr_assert_eq(tokenizer_encode(t, "the box", 7, &plain, NULL), RT_OK);
    cr_assert_eq(tokenizer_encode_prompt(t, "the box", 7, false, 1, &before, NULL), RT_OK);
    cr_assert_eq(tokenizer_encode_prompt(t, "the box", 7, true, 2, &behind, NULL), RT_OK);
    cr_assert(before.n == plain.n + 1 && behind.n == plain.n + 1);
    cr_expect(before.ids[0] == 1 && behind.ids[plain.n] == 2);
    cr_expect_eq(memcmp(before.ids + 1, plain.ids, plain.n * sizeof *plain.ids), 0);
    cr_expect_eq(memcmp(behind.ids, plain.ids, plain.n * sizeof *plain.ids), 0);
    id_list_free(&plain);
    id_list_free(&before);
    id_list_free(&behind);
    tokenizer_free(t);
}

Test(tokenizer, the_same_sentences_and_settings_give_the_same_bytes)
{
    for (int bpe = 0; bpe < 2; bpe++) {
        tokenizer_training s = defaults;
        s.bpe = bpe == 1;
        tokenizer *a = NULL, *b = NULL, *c = NULL;
        cr_assert_eq(train(&s, "a.model", 300, &a, NULL), RT_OK);
        cr_assert_eq(train(&s, "b.model", 300, &b, NULL), RT_OK);
        cr_assert_eq(train(&s, "c.model", 299, &c, NULL), RT_OK);
        cr_expect_str_eq(tokenizer_sha256(a), tokenizer_sha256(b));
        cr_expect_str_neq(tokenizer_sha256(a), tokenizer_sha256(c), "other sentences");
        tokenizer_free(a);
        tokenizer_free(b);
        tokenizer_free(c);
    }
}

Test(tokenizer, a_vocabulary_larger_than_the_text_shrinks_to_fit)
{
    for (int bpe = 0; bpe < 2; bpe++) {
        tokenizer_training s = defaults;
        s.bpe = bpe == 1;
        s.vocab_size = 30000;
        tokenizer *t = trained(&s);
        cr_expect_gt(tokenizer_size(t), 261);
        cr_expect_lt(tokenizer_size(t), 3000);
        expect_exact_round_trips(t);
        tokenizer_free(t);
    }
}

Test(tokenizer, a_vocabulary_too_small_for_the_characters_is_refused_with_the_smallest)
{
    tokenizer_training s = defaults;
    tokenizer *t = NULL;
    rt_error err = {0};
    s.vocab_size = 265;
    cr_expect_eq(train(&s, "a.model", 300, &t, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "at least"), "%s", err.text);
    s.vocab_size = 100;
    cr_expect_eq(train(&s, "a.model", 300, &t, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "byte_fallback takes 256"), "%s", err.text);
}

Test(tokenizer, settings_change_how_text_is_cut)
{
    tokenizer_training s = defaults;
    s.lowercase = true;
    tokenizer *t = trained(&s);
    expect_round_trip(t, "MAN Walking", "man walking");
    id_list ids = {0};
    cr_assert_eq(tokenizer_encode(t, "4711", 4, &ids, NULL), RT_OK);
    cr_expect_geq(ids.n, 4, "digits stand alone");
    id_list_free(&ids);
    tokenizer_free(t);

    s = defaults;
    s.byte_fallback = false;
    s.vocab_size = 120;
    t = trained(&s);
    cr_assert_eq(tokenizer_encode(t, "\xE7\x8C\xAB", 3, &ids, NULL), RT_OK);
    bool has_unknown = false;
    for (size_t i = 0; i < ids.n; i++) has_unknown |= ids.ids[i] == tokenizer_unk(t);
    cr_expect(has_unknown, "without bytes an unseen character is unk");
    id_list_free(&ids);
    tokenizer_free(t);
}

Test(tokenizer, a_sample_is_used_when_asked_for_and_repeats)
{
    tokenizer_training s = defaults;
    s.n_sentences_max = 100;
    tokenizer *a = NULL, *b = NULL, *first = NULL;
    cr_assert_eq(train(&s, "a.model", 1000, &a, NULL), RT_OK);
    cr_assert_eq(train(&s, "b.model", 1000, &b, NULL), RT_OK);
    cr_assert_eq(train(&s, "c.model", 100, &first, NULL), RT_OK);
    cr_expect_str_eq(tokenizer_sha256(a), tokenizer_sha256(b));
    cr_expect_str_neq(tokenizer_sha256(a), tokenizer_sha256(first), "not just the first ones");
    tokenizer_free(a);
    tokenizer_free(b);
    tokenizer_free(first);
}

Test(tokenizer, no_text_or_a_failing_source_leaves_no_file)
{
    char path[128];
    rt_error err = {0};
    snprintf(path, sizeof path, "%s/none.model", folder);
    word_source empty = {.n = 0, .i_fail = SIZE_MAX};
    cr_expect_eq(tokenizer_train(&defaults, next_sentence, &empty, path, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "no text"), "%s", err.text);
    word_source failing = {.n = 300, .i_fail = 200};
    cr_expect_eq(tokenizer_train(&defaults, next_sentence, &failing, path, &err), RT_CORRUPT);
    cr_expect_str_eq(err.text, "row 200 is broken");
    cr_expect_not(rt_fs_exists(path));
}

static rt_status next_odd(void *context, const char **text, size_t *n, rt_error *err)
{
    static const char odd[] = "a\tb \xFF\xC3 c\0d \xE2\x96\x85 x";
    int *left = context;
    (void)err;
    if ((*left)-- == 0) return RT_END;
    *text = *left % 2 == 0 ? odd : "";
    *n = *left % 2 == 0 ? sizeof odd - 1 : 0;
    return RT_OK;
}

Test(tokenizer, tabs_zero_bytes_and_invalid_utf8_in_the_corpus_are_survived)
{
    char path[128];
    int left = 50;
    rt_error err = {0};
    tokenizer *t = NULL;
    snprintf(path, sizeof path, "%s/odd.model", folder);
    cr_assert_eq(tokenizer_train(&defaults, next_odd, &left, path, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK);
    expect_round_trip(t, "a\tb", "a b");
    expect_round_trip(t, "x\xFFy", "x y"); /* U+FFFD is white space to the normaliser */
    tokenizer_free(t);
}

static void write_model(const char *name, const rt_buf *bytes, size_t n, char *path, size_t n_path)
{
    snprintf(path, n_path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb"); /* hundreds of files: without waiting for the disk */
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes->data, 1, n, file), n);
    cr_assert_eq(fclose(file), 0);
}

Test(tokenizer, a_file_cut_short_is_refused_or_whole)
{
    char path[128];
    rt_buf file = {0};
    tokenizer_free(trained(&defaults));
    snprintf(path, sizeof path, "%s/a.model", folder);
    cr_assert_eq(rt_fs_read(path, SIZE_MAX / 2, &file, NULL), RT_OK);
    size_t n_refused = 0, n_cuts = 0;
    for (size_t n = 0; n < file.n; n += 1 + n / 60) {
        tokenizer *t = NULL;
        rt_error err = {0};
        write_model("cut.model", &file, n, path, sizeof path);
        rt_status st = tokenizer_load(path, &t, &err);
        n_cuts++;
        if (st == RT_OK) { /* cut between two fields: a smaller model */
            expect_round_trip(t, "", "");
        } else {
            n_refused++;
            cr_assert_eq(st, RT_CORRUPT, "%zu bytes: %s", n, err.text);
            cr_assert_not_null(strstr(err.text, "cut.model"), "%s", err.text);
        }
        tokenizer_free(t);
    }
    cr_expect_gt(n_refused, n_cuts / 2);
    rt_buf_free(&file);
}

Test(tokenizer, flipped_bits_in_the_file_never_crash)
{
    static const char text[] = "a man playing \xEF\xBC\xA1\xEF\xBC\xA2 guitar\n\xE7\x8C\xAB 42";
    char path[128];
    rt_buf file = {0};
    tokenizer_free(trained(&defaults));
    snprintf(path, sizeof path, "%s/a.model", folder);
    cr_assert_eq(rt_fs_read(path, SIZE_MAX / 2, &file, NULL), RT_OK);
    rng_key key = rng_key_make(1, "flip", (rt_id){0}, 0);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t bit = rng_below(key, i, file.n * 8);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
        tokenizer *t = NULL;
        id_list ids = {0};
        rt_buf out = {0};
        write_model("flip.model", &file, file.n, path, sizeof path);
        if (tokenizer_load(path, &t, NULL) == RT_OK &&
            tokenizer_encode(t, text, sizeof text - 1, &ids, NULL) == RT_OK)
            cr_expect_leq(tokenizer_decode(t, ids.ids, ids.n, &out, NULL), RT_END);
        id_list_free(&ids);
        rt_buf_free(&out);
        tokenizer_free(t);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
    }
    rt_buf_free(&file);
}

Test(tokenizer, other_files_are_refused_by_kind)
{
    char path[128];
    tokenizer *t = NULL;
    rt_error err = {0};
    rt_buf text = {0};
    cr_expect_eq(tokenizer_load("/nonexistent/x.model", &t, &err), RT_NOTFOUND);
    cr_assert_eq(rt_buf_add_text(&text, "{\"model\": \"this is JSON\"}\n", NULL), RT_OK);
    write_model("json.model", &text, text.n, path, sizeof path);
    cr_expect_eq(tokenizer_load(path, &t, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "not a sentencepiece model"), "%s", err.text);
    write_model("empty.model", &text, 0, path, sizeof path);
    cr_expect_eq(tokenizer_load(path, &t, &err), RT_CORRUPT);
    cr_expect_eq(tokenizer_load("/dev/zero", &t, &err), RT_FULL, "endless: %s", err.text);
    cr_expect_null(t);
    tokenizer_free(NULL);
    rt_buf_free(&text);
}

static tokenizer *published(const char *name)
{
    char path[4096];
    const char *root = getenv("RT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/../shared/data/weights/%s", root == NULL ? "." : root, name);
    if (!rt_fs_exists(path)) return NULL;
    tokenizer *t = NULL;
    rt_error err = {0};
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    return t;
}

Test(tokenizer, a_published_english_model_loads_and_encodes)
{
    tokenizer *t = published("test_model.model");
    if (t == NULL) cr_skip_test("test_model.model is absent: no data folder beside the checkout");
    cr_expect_eq(tokenizer_size(t), 1000);
    cr_expect_eq(tokenizer_unk(t), 0);
    cr_expect_eq(tokenizer_bos(t), 1);
    cr_expect_eq(tokenizer_eos(t), 2);
    cr_expect_not(tokenizer_has(t, TOKENIZER_PAD));
    cr_expect_eq(tokenizer_pad(t), tokenizer_eos(t), "pad falls back to eos");
    expect_round_trip(t, "The quick brown fox.", "The quick brown fox.");
    tokenizer_free(t);
}

Test(tokenizer, a_published_japanese_model_loads_and_encodes)
{
    static const char cat[] = "\xE5\x90\xBE\xE8\xBC\xA9\xE3\x81\xAF\xE7\x8C\xAB\xE3\x81\xA7\xE3\x81"
                              "\x82\xE3\x82\x8B";
    tokenizer *t = published("test_ja_model.model");
    if (t == NULL) cr_skip_test("test_ja_model.model is absent: no data folder beside");
    id_list ids = {0};
    cr_assert_eq(tokenizer_encode(t, cat, strlen(cat), &ids, NULL), RT_OK);
    cr_expect_gt(ids.n, 1);
    cr_expect_lt(ids.n, strlen(cat));
    id_list_free(&ids);
    tokenizer_free(t);
}
