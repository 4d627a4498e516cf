#include "cli/doctor/text_lengths.h"

#include <criterion/criterion.h>
#include <string.h>

/* Without a tokenizer: 4 letters a token. */
static text_lengths lengths_of(size_t n_a, size_t n_b, uint64_t limit)
{
    char text[400];
    text_lengths l = {0};
    memset(text, 'a', sizeof text);
    cr_assert_eq(text_lengths_add(&l, NULL, text, n_a, 1, limit, NULL), RT_OK);
    cr_assert_eq(text_lengths_add(&l, NULL, text, n_b, 1, limit, NULL), RT_OK);
    return l;
}

Test(text_lengths, counts_and_compares)
{
    text_lengths l = lengths_of(40, 80, 11);
    cr_expect_eq(l.first, 11);
    cr_expect_eq(l.longest, 21);
    cr_expect_eq(l.sum, 32);
    cr_expect_eq(l.n_too_long, 1);
    cr_expect(l.is_estimate);
}

Test(text_lengths, prompts_that_are_too_long_warn_and_fail_when_all_are_and_counted)
{
    text_lengths l = lengths_of(40, 80, 100);
    cr_expect_eq(prompt_verdict(&l, 100, "x").level, FINDING_OK);
    l = lengths_of(40, 80, 11);
    cr_expect_eq(prompt_verdict(&l, 11, "x").level, FINDING_WARN);
    l = lengths_of(40, 80, 5);
    cr_expect_eq(prompt_verdict(&l, 5, "x").level, FINDING_WARN, "an estimate is no proof");
    l.is_estimate = false;
    finding f = prompt_verdict(&l, 5, "prompt.max_prompt_tokens");
    cr_expect_eq(f.level, FINDING_FAIL);
    cr_expect_str_eq(f.expected, "at most 5 tokens (prompt.max_prompt_tokens)");
    l = lengths_of(40, 80, 0);
    cr_expect_eq(prompt_verdict(&l, 0, "").level, FINDING_OK, "no limit is known");
}

Test(text_lengths, inputs_that_fill_the_sequence_warn_and_fail_when_all_do)
{
    text_lengths l = lengths_of(40, 80, 100);
    cr_expect_eq(student_length_verdict(&l, 101).level, FINDING_OK);
    l = lengths_of(40, 80, 11);
    cr_expect_eq(student_length_verdict(&l, 12).level, FINDING_WARN);
    l = lengths_of(40, 80, 5);
    l.is_estimate = false;
    cr_expect_eq(student_length_verdict(&l, 6).level, FINDING_FAIL);
}
