/* Tokens of the labelled dataset, memory-mapped beside it. Derived data: rebuilt when missing.
 *
 * One entry per corpus index: for each task of the preset, prompt and target token ids. The file's
 * header carries the tokenizer's hash and the preset, and another one is never read.
 */
#ifndef RT_DATASET_TOKEN_CACHE_H
#define RT_DATASET_TOKEN_CACHE_H

#include "common/dataset/task_text.h"
#include "common/text/tokenizer.h"

typedef struct token_cache token_cache;

/* One sequence: ids[0..n_prompt) given (bos first), ids[n_prompt..n_prompt + n_target) learnt (eos
 * last). Borrowed from the cache until the next token_cache_add(). */
typedef struct token_seq {
    const uint32_t *ids;
    uint32_t n_prompt;
    uint32_t n_target; /* 0: this record has no such task */
} token_seq;

typedef struct token_cache_settings {
    const tokenizer *tokenizer; /* keeps */
    bool tasks[TASK_COUNT];     /* which tasks the preset trains */
    const char *label_format;
    const char *marker;
    size_t seq_len_max; /* a longer sequence is left out and counted */
} token_cache_settings;

/* Opens or makes `path` for n_examples entries. Returns new; token_cache_close(). */
RT_MUST_USE rt_status token_cache_open(const char *path, const token_cache_settings *settings,
                                       size_t n_examples, token_cache **out, rt_error *err);
void token_cache_close(token_cache *c);
bool token_cache_has(const token_cache *c, size_t i_example);
RT_MUST_USE rt_status token_cache_add(token_cache *c, size_t i_example, const label_record *record,
                                      rt_error *err);
token_seq token_cache_get(const token_cache *c, size_t i_example, student_task task);
uint64_t token_cache_n_too_long(const token_cache *c);

#endif
