#include "bench/text_lengths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/corpus/row_reader.h"
#include "common/text/tokenizer.h"

/* All texts, inputs and targets in turns: the tokenizer is trained on them and then cuts them. */
typedef struct texts {
    rt_buf *all; /* [2 n] */
    size_t n, capacity, n_skipped;
    size_t i_next; /* of those that the training has not read */
} texts;

static void texts_free(texts *t)
{
    for (size_t i = 0; i < 2 * t->n; i++) rt_buf_free(&t->all[i]);
    free(t->all);
}

static rt_status texts_add(texts *t, rt_buf *input, rt_buf *target, rt_error *err)
{
    if (t->n == t->capacity) {
        size_t capacity = t->capacity == 0 ? 1024 : 2 * t->capacity;
        rt_buf *all = rt_calloc(2 * capacity, sizeof *all);
        if (all == NULL) return rt_fail(err, RT_NOMEM, "%zu texts", 2 * capacity);
        if (t->n > 0) memcpy(all, t->all, 2 * t->n * sizeof *all);
        free(t->all);
        t->all = all;
        t->capacity = capacity;
    }
    t->all[2 * t->n] = *input;
    t->all[2 * t->n + 1] = *target;
    t->n++;
    *input = *target = (rt_buf){0};
    return RT_OK;
}

/* One row; one without a text on either side is left out. */
static rt_status take_row(row_reader *r, const template *input, const template *target, texts *t,
                          rt_error *err)
{
    rt_buf asked = {0}, learnt = {0};
    rt_status st = template_render(input, row_reader_lookup, r, &asked, err);
    if (st == RT_OK) st = template_render(target, row_reader_lookup, r, &learnt, err);
    if (st == RT_OK && asked.n > 0 && learnt.n > 0)
        st = texts_add(t, &asked, &learnt, err);
    else
        t->n_skipped++;
    rt_buf_free(&asked);
    rt_buf_free(&learnt);
    return st == RT_NOTFOUND ? RT_OK : st;
}

static rt_status read_texts(const text_source *from, texts *t, rt_error *err)
{
    row_reader *reader = NULL;
    template *input = NULL, *target = NULL;
    row one;
    rt_status st = template_parse(from->input, &input, err);
    if (st == RT_OK) st = template_parse(from->target, &target, err);
    if (st == RT_OK) st = row_reader_open(&from->corpus, 1, &(row_reader_options){0}, &reader, err);
    while (st == RT_OK && (st = row_reader_next(reader, &one, err)) == RT_OK) {
        if (one.problem == NULL)
            st = take_row(reader, input, target, t, err);
        else
            t->n_skipped++;
    }
    row_reader_close(reader);
    template_free(target);
    template_free(input);
    return st == RT_END ? RT_OK : st;
}

static rt_status next_text(void *context, const char **text, size_t *n, rt_error *err)
{
    texts *t = context;
    if (t->i_next == 2 * t->n) return rt_fail(err, RT_END, "no more texts");
    *text = t->all[t->i_next].data;
    *n = t->all[t->i_next++].n;
    return RT_OK;
}

static rt_status get_tokenizer(const text_source *from, texts *t, size_t n_vocab, tokenizer **out,
                               rt_error *err)
{
    char path[] = "/tmp/retort-bench.XXXXXX";
    if (from->tokenizer != NULL) return tokenizer_load(from->tokenizer, out, err);
    int fd = mkstemp(path);
    if (fd < 0) return rt_fail(err, RT_IO, "%s: no file for a tokenizer", path);
    close(fd);
    tokenizer_training how = {.bpe = true, .vocab_size = n_vocab, .split_digits = true};
    rt_status st = tokenizer_train(&how, next_text, t, path, err);
    if (st == RT_OK) st = tokenizer_load(path, out, err);
    unlink(path);
    return st;
}

static rt_status count(const tokenizer *t, const rt_buf *text, size_t *out, rt_error *err)
{
    id_list ids = {0};
    rt_status st = tokenizer_encode(t, text->data, text->n, &ids, err);
    *out = ids.n + 1; /* bos before a prompt, eos behind a target */
    id_list_free(&ids);
    return st;
}

rt_status text_lengths_read(const text_source *from, size_t n_vocab, size_t n_tokens_max,
                            text_lengths *out, rt_error *err)
{
    texts all = {0};
    text_lengths found = {0};
    tokenizer *t = NULL;
    rt_status st = read_texts(from, &all, err);
    if (st == RT_OK) st = get_tokenizer(from, &all, n_vocab, &t, err);
    if (st != RT_OK) goto out;
    found.n_skipped = all.n_skipped;
    found.rows = rt_calloc(all.n, sizeof *found.rows);
    if (found.rows == NULL) {
        st = rt_fail(err, RT_NOMEM, "lengths of %zu rows", all.n);
        goto out;
    }
    for (size_t i = 0; i < all.n; i++) {
        text_length one = {0};
        if ((st = count(t, &all.all[2 * i], &one.n_prompt, err)) != RT_OK) goto out;
        if ((st = count(t, &all.all[2 * i + 1], &one.n_target, err)) != RT_OK) goto out;
        if (one.n_prompt + one.n_target <= n_tokens_max)
            found.rows[found.n++] = one;
        else
            found.n_skipped++;
    }
    if (found.n == 0) {
        st = rt_fail(err, RT_INVALID, "%s: no row has both texts within %zu tokens", from->corpus,
                     n_tokens_max);
        goto out;
    }
    *out = found;
    found = (text_lengths){0};
out:
    text_lengths_free(&found);
    tokenizer_free(t);
    texts_free(&all);
    return st;
}

void text_lengths_free(text_lengths *lengths)
{
    free(lengths->rows);
    *lengths = (text_lengths){0};
}
