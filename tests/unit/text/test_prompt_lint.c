#include <criterion/criterion.h>
#include <string.h>

#include "common/text/prompt_lint.h"

Test(prompt_lint, finds_a_phrase_that_makes_a_model_think)
{
    static const char *const bad[] = {
        "Let's think step by step.", "Work STEP-BY-STEP, please", "step\n  by  step",
        "Let\xe2\x80\x99s think.",   "use a Chain of Thought",    "First, explain your reasoning",
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        rt_error err = {0};
        cr_expect_eq(prompt_lint_reasoning("prompt.instruction", bad[i], &err), RT_INVALID, "%s",
                     bad[i]);
        cr_expect_not_null(strstr(err.text, "prompt.instruction: found \""), "%s", err.text);
        cr_expect_not_null(strstr(err.text, "prompt.kind: classic"), "%s", err.text);
    }
}

Test(prompt_lint, leaves_other_texts_alone)
{
    static const char *const good[] = {
        "",
        "Answer with one sentence of justification and then the label.",
        "The dancer made a step by the steps.",
        "What do you think?",
    };
    for (size_t i = 0; i < RT_COUNT(good); i++)
        cr_expect_eq(prompt_lint_reasoning("prompt.instruction", good[i], NULL), RT_OK, "%s",
                     good[i]);
}
