/* Training a tokenizer.
 *
 * Sentences are pulled once and kept here, because a second attempt may be needed: sentencepiece
 * says only at the end that a vocabulary cannot be filled. It would shrink by itself for unigram
 * and BPE (hard_vocab_limit=false); where a version still refuses, its message names the most it
 * can do, and failing that the size is halved until it fits.
 *
 * sentencepiece ends the whole process where a limit of its own is passed: a word of more than 65,535
 * characters (BPE), a text of more than 2^31 (unigram, which also takes the square of a sentence's
 * length in time where the sentence repeats itself). So a long sentence is handed out in parts, and of
 * a text beyond BYTES_MAX so many halves are left out, by lot, until it fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/text/tokenizer.h"
#include "common/text/tokenizer_shim.h"
#include "common/text/utf8.h"

#define VOCAB_MIN    8 /* four control symbols, the newline and some pieces */
#define VOCAB_MAX    ((size_t)1 << 20)
#define ATTEMPTS_MAX 12

/* The normaliser makes up to 18 characters of one that has 3 bytes. */
#define PART_BYTES_MAX 8192
#define BYTES_MAX      ((size_t)256 << 20) /* unless said otherwise */

typedef struct sentence {
    char *text;
    size_t n;
    uint64_t lot;
} sentence;

typedef struct sentence_list {
    sentence *items;
    size_t n;
    size_t capacity;
    size_t n_seen;  /* of those with a lot that is good enough */
    size_t n_bytes; /* of all that are here */
    size_t n_bytes_max;
    uint64_t n_drawn;
    unsigned n_halved; /* a lot has to begin with so many zeros */
    size_t i_next;     /* for handing out: the sentence, and where in it */
    size_t at;
} sentence_list;

static void sentence_list_free(sentence_list *list)
{
    for (size_t i = 0; i < list->n; i++) free(list->items[i].text);
    free(list->items);
}

static rt_status make_room(sentence_list *list, rt_error *err)
{
    if (list->n < list->capacity) return RT_OK;
    size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
    sentence *items = reallocarray(list->items, capacity, sizeof *items);
    if (items == NULL) return rt_fail(err, RT_NOMEM, "tokenizer: %zu sentences", capacity);
    list->items = items;
    list->capacity = capacity;
    return RT_OK;
}

/* Where the sentence goes: a free place, a place to take over, or SIZE_MAX for nowhere. Reservoir
 * sampling (Vitter 1985, algorithm R), so a sample is uniform without knowing the count. */
static size_t place_for(const sentence_list *list, size_t n_max)
{
    if (n_max == 0 || list->n < n_max) return list->n;
    rng_key key = rng_key_make(0, "tokenizer.sample", (rt_id){0}, 0);
    uint64_t j = rng_below(key, list->n_seen, list->n_seen + 1);
    return j < n_max ? (size_t)j : SIZE_MAX;
}

/* sentencepiece drops a whole sentence that holds a tab or U+2585, both of which it uses as marks
 * of its own, and reads a zero byte as an end. */
static void soften(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\t' || text[i] == '\0') text[i] = ' ';
        if (n - i >= 3 && memcmp(text + i, "\xE2\x96\x85", 3) == 0) memset(text + i, ' ', 3);
    }
}

static bool is_good_lot(const sentence_list *list, uint64_t lot)
{
    return list->n_halved == 0 || lot >> (64 - list->n_halved) == 0;
}

static void leave_half_out(sentence_list *list)
{
    size_t n = 0;
    list->n_halved++;
    for (size_t i = 0; i < list->n; i++) {
        sentence *s = &list->items[i];
        if (is_good_lot(list, s->lot)) {
            list->items[n++] = *s;
            continue;
        }
        list->n_bytes -= s->n;
        free(s->text);
    }
    list->n = n;
    list->n_seen = RT_MAX(n, list->n_seen / 2);
}

static rt_status keep_sentence(sentence_list *list, size_t n_max, const char *text, size_t n,
                               rt_error *err)
{
    rt_buf copy = {0};
    rt_status st = RT_OK;
    if (n == 0) return RT_OK;
    uint64_t lot = rng_u64(rng_key_make(0, "tokenizer.lot", (rt_id){0}, 0), list->n_drawn++);
    if (!is_good_lot(list, lot)) return RT_OK;
    size_t place = place_for(list, n_max);
    list->n_seen++;
    if (place == SIZE_MAX) return RT_OK;
    if ((st = utf8_repair(text, n, &copy, err)) != RT_OK) goto out;
    if (place == list->n && (st = make_room(list, err)) != RT_OK) goto out;
    soften(copy.data, copy.n);
    if (place == list->n) {
        list->n++;
    } else {
        list->n_bytes -= list->items[place].n;
        free(list->items[place].text);
    }
    list->items[place] = (sentence){.text = copy.data, .n = copy.n, .lot = lot};
    list->n_bytes += copy.n;
    copy = (rt_buf){0};
    while (list->n_bytes > list->n_bytes_max && list->n > 1 && list->n_halved < 63)
        leave_half_out(list);
out:
    rt_buf_free(&copy);
    return st;
}

static rt_status collect(sentence_list *list, const tokenizer_training *settings,
                         sentence_source next, void *context, rt_error *err)
{
    const char *text = NULL;
    size_t n = 0;
    rt_status st;
    while ((st = next(context, &text, &n, err)) == RT_OK) {
        st = keep_sentence(list, settings->n_sentences_max, text, n, err);
        if (st != RT_OK) return st;
    }
    if (st != RT_END) return st;
    if (list->n == 0) return rt_fail(err, RT_INVALID, "tokenizer: no text to train on");
    if (list->n_halved > 0)
        rt_log_info("tokenizer.sample", "sentences=%zu bytes=%zu at_most=%zu", list->n,
                    list->n_bytes, list->n_bytes_max);
    return RT_OK;
}

/* Bytes of the next part: up to a blank if there is one, else up to the end of a character. */
static size_t part_of(const char *text, size_t n)
{
    if (n <= PART_BYTES_MAX) return n;
    const char *blank = memrchr(text + 1, ' ', PART_BYTES_MAX);
    if (blank != NULL) return (size_t)(blank - text);
    size_t end = PART_BYTES_MAX;
    while (end > 1 && ((unsigned char)text[end] & 0xC0) == 0x80) end--;
    return end;
}

static int hand_out(void *context, const char **text, size_t *n)
{
    sentence_list *list = context;
    if (list->i_next == list->n) return 0;
    const sentence *s = &list->items[list->i_next];
    *text = s->text + list->at;
    *n = part_of(*text, s->n - list->at);
    list->at += *n;
    if (list->at < s->n && s->text[list->at] == ' ') list->at++; /* as each part begins with one */
    if (list->at < s->n) return 1;
    list->at = 0;
    list->i_next++;
    return 1;
}

static bool add_model(void *context, const char *bytes, size_t n)
{
    return rt_buf_add(context, bytes, n, NULL) == RT_OK;
}

static sp_result train_once(const tokenizer_training *s, size_t vocab_size, sentence_list *list,
                            rt_buf *model, sp_message *message)
{
    char vocab[24];
    snprintf(vocab, sizeof vocab, "%zu", vocab_size);
    const sp_option options[] = {
        {"model_type", s->bpe ? "bpe" : "unigram"},
        {"vocab_size", vocab},
        {"hard_vocab_limit", "false"},
        {"num_threads", "1"},
        {"unk_id", "0"},
        {"bos_id", "1"},
        {"eos_id", "2"},
        {"pad_id", "3"},
        {"user_defined_symbols", "\n"},
        {"byte_fallback", s->byte_fallback ? "true" : "false"},
        {"split_digits", s->split_digits ? "true" : "false"},
        {"normalization_rule_name", s->lowercase ? "nmt_nfkc_cf" : "nmt_nfkc"},
        {"remove_extra_whitespaces", "false"},
        /* What is left out is spelled in bytes; without bytes it would be lost as unk. */
        {"character_coverage", s->byte_fallback ? "0.9995" : "1.0"},
        {"max_sentence_length", "1073741824"},
        {"input_sentence_size", "0"},
        {"shuffle_input_sentence", "false"},
        {"model_prefix", ""}, /* the model comes back as bytes; no file is written */
        {"minloglevel", "3"},
    };
    list->i_next = list->at = 0;
    rt_buf_clear(model);
    return sp_train(options, RT_COUNT(options), hand_out, list, add_model, model, message);
}

/* The number behind `mark` in a message, or 0. */
static size_t number_after(const char *message, const char *mark)
{
    const char *p = strstr(message, mark);
    return p == NULL ? 0 : (size_t)strtoull(p + strlen(mark), NULL, 10);
}

static rt_status train_to_fit(const tokenizer_training *s, sentence_list *list, rt_buf *model,
                              rt_error *err)
{
    sp_message message = {{0}};
    size_t vocab_size = s->vocab_size;
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        sp_result result = train_once(s, vocab_size, list, model, &message);
        if (result == SP_OK) return RT_OK;
        if (result == SP_NOMEM) return rt_fail(err, RT_NOMEM, "tokenizer: %zu sentences", list->n);
        /* "Vocabulary size is smaller than required_chars. 300 vs 512. ..." */
        size_t required = number_after(message.text, " vs ");
        if (strstr(message.text, "smaller than required_chars") != NULL)
            return rt_fail(err, RT_INVALID,
                           "tokenizer.vocab_size %zu is too small for the characters of the text: "
                           "at least %zu is needed",
                           vocab_size, required);
        /* "Vocabulary size too high (8000). Please set it to a value <= 1234." */
        size_t most = number_after(message.text, "value <= ");
        bool is_too_high =
            strstr(message.text, "too high") != NULL || strstr(message.text, "vocab_size") != NULL;
        if (!is_too_high || vocab_size <= VOCAB_MIN) break;
        vocab_size = most > 0 && most < vocab_size ? most : vocab_size / 2;
    }
    return rt_fail(err, RT_INVALID, "tokenizer training with vocab_size %zu on %zu sentences: %s",
                   s->vocab_size, list->n, message.text);
}

static rt_status check_settings(const tokenizer_training *s, rt_error *err)
{
    /* 256 byte pieces and the fixed symbols come before any learned one. */
    size_t vocab_min = VOCAB_MIN + (s->byte_fallback ? 256 : 0);
    if (s->vocab_size < vocab_min || s->vocab_size > VOCAB_MAX)
        return rt_fail(err, RT_INVALID, "tokenizer.vocab_size %zu: expected %zu to %zu%s",
                       s->vocab_size, vocab_min, VOCAB_MAX,
                       s->byte_fallback ? " (byte_fallback takes 256)" : "");
    return RT_OK;
}

rt_status tokenizer_train(const tokenizer_training *settings, sentence_source next, void *context,
                          const char *path, rt_error *err)
{
    sentence_list list = {.n_bytes_max = settings->n_bytes_max};
    rt_buf model = {0};
    if (list.n_bytes_max == 0) list.n_bytes_max = BYTES_MAX;
    tokenizer *t = NULL;
    rt_status st = check_settings(settings, err);
    if (st != RT_OK) goto out;
    if ((st = collect(&list, settings, next, context, err)) != RT_OK) goto out;
    if ((st = train_to_fit(settings, &list, &model, err)) != RT_OK) goto out;
    if ((st = rt_fs_write_atomic(path, model.data, model.n, err)) != RT_OK) goto out;
    /* What was written must load: a model that cannot be used is found here, not in a worker. */
    if ((st = tokenizer_load(path, &t, err)) != RT_OK) goto out;
    if (tokenizer_size(t) < settings->vocab_size)
        rt_log_info("tokenizer.shrunk", "vocab_size=%zu asked=%zu path=%s", tokenizer_size(t),
                    settings->vocab_size, path);
out:
    tokenizer_free(t);
    rt_buf_free(&model);
    sentence_list_free(&list);
    return st;
}
