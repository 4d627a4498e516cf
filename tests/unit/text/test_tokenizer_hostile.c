/* A tokenizer is trained on whatever a corpus holds: it learns from it or says why not. sentencepiece
 * ends the process where a limit of its own is passed, and that process would be the coordinator. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/tokenizer.h"
#include "tests/support/temp_folder.h"

typedef struct hostile {
    const char *unit; /* repeated */
    size_t n_unit, n_times;
    bool bpe_only; /* the limit is of BPE, and the other way takes long */
} hostile;

#define TEXT(text, times)                                           \
    {                                                               \
        .unit = text, .n_unit = sizeof text - 1, .n_times = (times) \
    }

static const hostile texts[] = {
    TEXT("x", 70000),                       /* a long word */
    TEXT("\xCC\x81", 70000),                /* nothing but combining characters */
    TEXT("a\xCC\x81\xCC\x80\xD2\x89", 100), /* and with a letter below them */
    /* U+FDFA, which becomes 18 characters */
    {.unit = "\xEF\xB7\xBA", .n_unit = 3, .n_times = 4000, .bpe_only = true},
    TEXT("\xE6\x97\xA5\xE6\x9C\xAC", 6000),            /* no blanks, as in Japanese */
    TEXT("what is ", 10000),                           /* words that repeat themselves */
    TEXT(" ", 5000),                                   /* nothing but blanks */
    TEXT("\n", 5000),                                  /* lines */
    TEXT("\0", 5000),                                  /* zero bytes */
    TEXT("\xFF\xC3(\xED\xA0\x80", 500),                /* no UTF-8 */
    TEXT("\xE2\x96\x85", 500),                         /* the mark of sentencepiece itself, */
    TEXT("\xE2\x96\x81", 500),                         /* its blank, */
    TEXT("<s></s><unk><pad><0x0A>", 100),              /* and its symbols */
    TEXT("\xE2\x80\xAE\xE2\x80\x8B\xEF\xBB\xBF", 100), /* directions, width zero, byte order */
    TEXT("\xF0\x9F\x91\xA9\xE2\x80\x8D", 5000),        /* one emoji after another, joined */
    TEXT("\x01\x1B[31m\x7F\xC2\x85", 100),             /* controls */
    TEXT("1", 70000),                                  /* digits */
    TEXT("q", 1),
};

typedef struct source {
    const char *text;
    size_t n, n_left;
} source;

static rt_status next(void *context, const char **text, size_t *n, rt_error *err)
{
    source *s = context;
    (void)err;
    if (s->n_left == 0) return RT_END;
    s->n_left--;
    *text = s->text;
    *n = s->n;
    return RT_OK;
}

static char *repeat(const hostile *h)
{
    char *text = malloc(h->n_unit * h->n_times);
    cr_assert_not_null(text);
    for (size_t i = 0; i < h->n_times; i++) memcpy(text + i * h->n_unit, h->unit, h->n_unit);
    return text;
}

static void learn(const char *path, const tokenizer_training *how, const char *text, size_t n)
{
    rt_error err = {0};
    tokenizer *t = NULL;
    id_list ids = {0};
    rt_buf back = {0};
    source s = {text, n, 2};
    rt_status st = tokenizer_train(how, next, &s, path, &err);
    if (st != RT_OK) {
        cr_expect_eq(st, RT_INVALID, "%s", err.text);
        cr_expect_neq(err.text[0], '\0');
        return;
    }
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    cr_expect_eq(tokenizer_encode(t, text, n, &ids, &err), RT_OK, "%s", err.text);
    cr_expect_eq(tokenizer_decode(t, ids.ids, ids.n, &back, &err), RT_OK, "%s", err.text);
    id_list_free(&ids);
    rt_buf_free(&back);
    tokenizer_free(t);
}

/* Its process has the texts elsewhere: only their number may be handed to it. */
ParameterizedTestParameters(tokenizer_hostile, any_text_is_learnt_from_or_refused_with_a_reason)
{
    static size_t numbers[RT_COUNT(texts)];
    for (size_t i = 0; i < RT_COUNT(texts); i++) numbers[i] = i;
    return cr_make_param_array(size_t, numbers, RT_COUNT(texts));
}

ParameterizedTest(size_t *i, tokenizer_hostile, any_text_is_learnt_from_or_refused_with_a_reason)
{
    const hostile *h = &texts[*i];
    char *folder = temp_folder_new(), *text = repeat(h);
    for (unsigned way = 0; way < (h->bpe_only ? 1 : 2); way++) {
        tokenizer_training how = {.bpe = way == 0,
                                  .byte_fallback = way == 0,
                                  .vocab_size = way == 0 ? 300 : 40,
                                  .split_digits = true};
        learn(temp_folder_path(folder, "a.model"), &how, text, h->n_unit * h->n_times);
    }
    free(text);
    temp_folder_free(folder);
}

typedef struct lines {
    size_t i, n;
    char text[64];
} lines;

static rt_status next_line(void *context, const char **text, size_t *n, rt_error *err)
{
    lines *s = context;
    (void)err;
    if (s->i == s->n) return RT_END;
    *n = (size_t)snprintf(s->text, sizeof s->text, "line %zu says %zx and %zo", s->i, s->i * 7919,
                          s->i * 104729);
    s->i++;
    *text = s->text;
    return RT_OK;
}

static void sha_of(const char *path, size_t n_bytes_max, size_t n_sentences_max, char out[80])
{
    tokenizer_training how = {.bpe = true,
                              .vocab_size = 200,
                              .n_bytes_max = n_bytes_max,
                              .n_sentences_max = n_sentences_max};
    rt_error err = {0};
    tokenizer *t = NULL;
    lines s = {.n = 5000};
    cr_assert_eq(tokenizer_train(&how, next_line, &s, path, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &t, &err), RT_OK, "%s", err.text);
    snprintf(out, 80, "%s", tokenizer_sha256(t));
    tokenizer_free(t);
}

Test(tokenizer_hostile, of_a_text_that_is_too_long_a_sample_is_taken_that_repeats)
{
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "a.model");
    char all[80], some[80], again[80], few[80];
    sha_of(path, 0, 0, all);
    sha_of(path, 20000, 0, some);
    sha_of(path, 20000, 0, again);
    sha_of(path, 20000, 300, few);
    cr_expect_str_neq(some, all);
    cr_expect_str_eq(some, again);
    cr_expect_str_neq(few, some);
    sha_of(path, 1, 0, few); /* one is left */
    temp_folder_free(folder);
}
