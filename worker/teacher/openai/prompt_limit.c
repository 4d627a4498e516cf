#include "worker/teacher/openai/prompt_limit.h"

#include <string.h>

#include "common/text/token_ceiling.h"

uint64_t prompt_limit_count(const config *c, const char *prompt, size_t n)
{
    const teacher_config *t = &c->teacher;
    uint64_t n_tokens = 1; /* a mark of the beginning */
    if (n > 0) n_tokens += token_ceiling(prompt, n);
    if (t->two_step) n_tokens += 1 + token_ceiling(t->think_text, strlen(t->think_text));
    if (t->api == API_CHAT) n_tokens += 2 * CHAT_TOKENS_OF_MESSAGE;
    return n_tokens;
}

bool prompt_limit_refuses(const config *c, const char *prompt, size_t n)
{
    uint64_t limit = c->prompt.max_prompt_tokens;
    return limit > 0 && prompt_limit_count(c, prompt, n) > limit;
}
