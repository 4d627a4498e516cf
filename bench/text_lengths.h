/* How long the texts of a corpus are in tokens: the lengths that training meets.
 *
 *     text_lengths lengths = {0};
 *     text_source from = {.corpus = "dataset/labels.jsonl", .input = "{input}", .target = "{rationale}"};
 *     if ((st = text_lengths_read(&from, 8000, 512, &lengths, err)) != RT_OK) goto out;
 *     text_lengths_free(&lengths);
 */
#ifndef RT_BENCH_TEXT_LENGTHS_H
#define RT_BENCH_TEXT_LENGTHS_H

#include "common/base/status.h"

typedef struct text_source {
    const char *corpus;         /* as corpus.files: jsonl, csv, tsv; plain, .gz or .zst */
    const char *input, *target; /* templates over a row's fields */
    const char *tokenizer;      /* NULL: one is trained on these texts, as a run does */
} text_source;

typedef struct text_length {
    size_t n_prompt, n_target; /* with bos and eos; both > 0 */
} text_length;

/* Owns `rows`; zero-initialise. */
typedef struct text_lengths {
    text_length *rows;
    size_t n;
    size_t n_skipped; /* rows without a field, with an empty target or too long together */
} text_lengths;

/* Rows of at most n_tokens_max tokens. RT_INVALID when none is left. */
RT_MUST_USE rt_status text_lengths_read(const text_source *from, size_t n_vocab,
                                        size_t n_tokens_max, text_lengths *out, rt_error *err);
void text_lengths_free(text_lengths *lengths);

#endif
