#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/token_ceiling.h"
#include "worker/teacher/openai/prompt_limit.h"

static char think[] = "Let's think step by step.";

static config config_of(teacher_api api, bool two_step, uint64_t limit)
{
    return (config){.teacher = {.api = api, .two_step = two_step, .think_text = think},
                    .prompt = {.max_prompt_tokens = limit}};
}

Test(prompt_limit, counts_the_prompt_and_all_that_is_put_around_it)
{
    const char *prompt = "How many shells are left?";
    size_t n = strlen(prompt), n_tokens = token_ceiling(prompt, n);
    config plain = config_of(API_COMPLETIONS, false, 0), chat = config_of(API_CHAT, false, 0);
    config steps = config_of(API_CHAT, true, 0);
    cr_expect_eq(prompt_limit_count(&plain, prompt, n), n_tokens + 1);
    cr_expect_eq(prompt_limit_count(&chat, prompt, n),
                 n_tokens + 1 + (uint64_t)2 * CHAT_TOKENS_OF_MESSAGE);
    cr_expect_eq(prompt_limit_count(&steps, prompt, n) - prompt_limit_count(&chat, prompt, n),
                 1 + token_ceiling(think, strlen(think)));
    cr_expect_gt(prompt_limit_count(&plain, "", 0), 0);
}

Test(prompt_limit, refuses_above_the_limit_and_nothing_without_one)
{
    const char *prompt = "How many shells are left?";
    size_t n = strlen(prompt);
    config c = config_of(API_CHAT, false, 0);
    uint64_t count = prompt_limit_count(&c, prompt, n);
    cr_expect_not(prompt_limit_refuses(&c, prompt, n));
    c.prompt.max_prompt_tokens = count;
    cr_expect_not(prompt_limit_refuses(&c, prompt, n));
    c.prompt.max_prompt_tokens = count - 1;
    cr_expect(prompt_limit_refuses(&c, prompt, n));
}
