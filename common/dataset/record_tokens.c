#include "common/dataset/record_tokens.h"

#include <jansson.h>
#include <string.h>

static uint64_t count_of(const json_t *tokens, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(tokens, key));
    return n > 0 ? (uint64_t)n : 0;
}

void record_tokens_add(record_tokens *sum, const char *meta)
{
    /* Most teachers count no tokens: they are not parsed for it. */
    if (meta == NULL || strstr(meta, "\"tokens\"") == NULL) return;
    json_t *top = json_loads(meta, 0, NULL);
    const json_t *tokens = json_object_get(top, "tokens");
    sum->n_prompt += count_of(tokens, "prompt");
    sum->n_cached += count_of(tokens, "cached");
    sum->n_completion += count_of(tokens, "completion");
    sum->n_reasoning += count_of(tokens, "reasoning");
    json_decref(top);
}
