/* What a teacher's records took: the member "tokens" of their meta, summed.
 *
 *     record_tokens sum = {0};
 *     record_tokens_add(&sum, record.meta);     // {"tokens":{"prompt":700,"completion":90}, ...}
 */
#ifndef RT_DATASET_RECORD_TOKENS_H
#define RT_DATASET_RECORD_TOKENS_H

#include <stdint.h>

typedef struct record_tokens {
    uint64_t n_prompt, n_cached; /* cached ones are among the prompt's */
    uint64_t n_completion, n_reasoning;
} record_tokens;

/* NULL, or meta without tokens, adds nothing. */
void record_tokens_add(record_tokens *sum, const char *meta);

#endif
