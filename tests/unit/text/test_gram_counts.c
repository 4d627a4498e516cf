#include "common/text/gram_counts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static text_units units_of(const char *text)
{
    text_units u = {0};
    cr_assert_eq(text_units_of(text, strlen(text), &u, NULL), RT_OK);
    return u;
}

static void add(gram_counts *c, const char *text)
{
    text_units u = units_of(text);
    cr_assert_eq(gram_counts_add(c, &u, NULL), RT_OK);
    text_units_free(&u);
}

static double score(const gram_counts *c, const char *text)
{
    double out = -1;
    text_units u = units_of(text);
    cr_assert_eq(gram_counts_score(c, &u, &out, NULL), RT_OK);
    text_units_free(&u);
    return out;
}

Test(gram_counts, give_the_mean_share_of_other_texts_that_have_a_run)
{
    gram_counts *c = NULL;
    cr_assert_eq(gram_counts_new(&c, NULL), RT_OK);
    add(c, "a b c d e f g"); /* runs a-f, b-g */
    add(c, "a b c d e f x"); /* a-f, b-x */
    add(c, "one two three four five six");
    add(c, "too short");
    cr_expect_float_eq(score(c, "a b c d e f g"), (1.0 + 0) / 2 / 3, 1e-12);
    cr_expect_eq(score(c, "one two three four five six"), 0);
    cr_expect_eq(score(c, "too short"), 0);
    gram_counts_free(c);
}

Test(gram_counts, count_a_text_once_however_often_it_says_a_run)
{
    gram_counts *c = NULL;
    cr_assert_eq(gram_counts_new(&c, NULL), RT_OK);
    add(c, "a b c d e f a b c d e f a b c d e f");
    cr_expect_eq(score(c, "a b c d e f"), 0, "the only text");
    add(c, "a b c d e f");
    add(c, "u v w x y z");
    cr_expect_float_eq(score(c, "a b c d e f"), 0.5, 1e-12);
    gram_counts_free(c);
}

Test(gram_counts, do_not_depend_on_the_order_and_never_count_too_few)
{
    enum { N = 3000 };
    gram_counts *up = NULL, *down = NULL;
    cr_assert_eq(gram_counts_new(&up, NULL), RT_OK);
    cr_assert_eq(gram_counts_new(&down, NULL), RT_OK);
    for (int i = 0; i < N; i++) {
        char text[200];
        for (int way = 0; way < 2; way++) {
            int k = way == 0 ? i : N - 1 - i;
            snprintf(text, sizeof text,
                     "as we can see from the text %d %d %d %d %d %d %d %d %d %d so it follows", k,
                     k + 1, k * 3, k * 5, k * 7, k * 11, k * 13, k * 17, k * 19, k * 23);
            add(way == 0 ? up : down, text);
        }
    }
    /* "as we can see from the" and its next run are in all, the others in one. */
    double common = score(up, "as we can see from the text");
    cr_expect_eq(common, 1);
    cr_expect_eq(score(down, "as we can see from the text"), 1);
    double mixed = score(up, "as we can see from the text 5 6 15 25 35 55");
    cr_expect_eq(mixed, score(down, "as we can see from the text 5 6 15 25 35 55"));
    cr_expect_float_eq(mixed, 2.0 / 8, 0.02);
    gram_counts_free(up);
    gram_counts_free(down);
}
