/* Tokens of the labelled dataset, memory-mapped beside it. Derived data: rebuilt when missing.
 *
 * One entry per corpus index: for each task of the preset, prompt and target token ids. The file's
 * header carries the tokenizer's hash, the preset and the corpus, and another one's file is never
 * read: it is made anew. Entries are appended, each with its check; what a crash left half-written,
 * and whatever lies behind it, is cut off at opening, so what is there is true or absent.
 *
 *     token_cache_open("runs/x/dataset/tokens.cache", &settings, n_examples, &c, err);
 *     token_cache_add(c, i, &record, err);      // for each archived record, also after a restart
 *     token_seq s = token_cache_get(c, i, TASK_PREDICT);
 */
#ifndef RT_DATASET_TOKEN_CACHE_H
#define RT_DATASET_TOKEN_CACHE_H

#include "common/dataset/task_text.h"
#include "common/text/tokenizer.h"

typedef struct token_cache token_cache;

/* One sequence: ids[0..n_prompt) given (bos first, or eos last for an encoder), ids[n_prompt..n_prompt
 * + n_target) learnt (eos last). Borrowed from the cache until the next token_cache_add(). */
typedef struct token_seq {
    const uint32_t *ids;
    uint32_t n_prompt;
    uint32_t n_target; /* 0: this record has no such task */
} token_seq;

typedef struct token_cache_settings {
    const tokenizer *tokenizer; /* keeps */
    bool tasks[TASK_COUNT];     /* which tasks the preset trains */
    bool for_encoder;           /* prompts end with eos and have no bos: T5's */
    const char *label_format;
    const char *marker;
    size_t seq_len_max; /* a longer sequence is left out and counted; 0: no limit */
    rt_id corpus;       /* whose indices these are (manifest_key()); another's file is not read */
} token_cache_settings;

/* Opens or makes `path` for n_examples entries. Returns new; token_cache_close(). */
RT_MUST_USE rt_status token_cache_open(const char *path, const token_cache_settings *settings,
                                       size_t n_examples, token_cache **out, rt_error *err);
void token_cache_close(token_cache *c);
/* Whether there is an entry at all; it may be of an older text of this example. */
bool token_cache_has(const token_cache *c, size_t i_example);
/* Tokenise a record. One whose entry is there and holds the same text costs a hash and no write; one
 * whose text differs replaces its entry. A rejected record has no task. RT_INVALID beyond
 * n_examples; RT_IO (disk full) leaves the cache as it was. */
RT_MUST_USE rt_status token_cache_add(token_cache *c, size_t i_example, const label_record *record,
                                      rt_error *err);
/* n_target 0 also for an absent entry. */
token_seq token_cache_get(const token_cache *c, size_t i_example, student_task task);
/* Sequences left out because they were longer than seq_len_max. */
uint64_t token_cache_n_too_long(const token_cache *c);

#endif
