#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/text_units.h"

static text_units units_of(const char *text)
{
    text_units u = {0};
    cr_assert_eq(text_units_of(text, strlen(text), &u, NULL), RT_OK);
    return u;
}

typedef struct split_case {
    char text[120];
    char normal[120];
    double n_words;
} split_case;

ParameterizedTestParameters(text_units, splits_and_folds)
{
    static split_case cases[] = {
        {"", "", 0},
        {" \n\t.,;", "", 0},
        {"The cat, the CAT!", "the cat the cat", 4},
        {"Costs $1,200.50. Not 3,4", "costs 1200.50 not 34", 4},
        {"(84/2) = 42.", "84 2 42", 3},
        {"don't 'quote' O\xE2\x80\x99Neil", "don't quote o'neil", 3},
        {"end. Next", "end next", 2},
        {"\xC3\x84rger \xC3\x9C", "\xC3\xA4rger \xC3\xBC", 2},
        {"\xD0\x9F\xD1\x80\xD0\xB8 \xCE\xA3", "\xD0\xBF\xD1\x80\xD0\xB8 \xCF\x83", 2},
        /* 猫は魚、が好き。 */
        {"\xE7\x8C\xAB\xE3\x81\xAF\xE9\xAD\x9A\xE3\x80\x81\xE3\x81\x8C\xE5\xA5\xBD\xE3\x81\x8D\xE3\x80\x82",
         "\xE7\x8C\xAB \xE3\x81\xAF \xE9\xAD\x9A \xE3\x81\x8C \xE5\xA5\xBD \xE3\x81\x8D", 3},
        /* answer は 42 */
        {"Answer\xE3\x81\xAF"
         "42",
         "answer \xE3\x81\xAF 42", 2.5},
        /* full-width １２ and Ａ */
        {"\xEF\xBC\x91\xEF\xBC\x92 \xEF\xBC\xA1", "12 a", 2},
        /* Thai: four characters are about a word */
        {"\xE0\xB9\x81\xE0\xB8\xA1\xE0\xB8\xA7\xE0\xB8\x99",
         "\xE0\xB9\x81 \xE0\xB8\xA1 \xE0\xB8\xA7 \xE0\xB8\x99", 1},
        /* Korean is written with blanks */
        {"\xEA\xB3\xA0\xEC\x96\x91\xEC\x9D\xB4 \xEC\x99\x94\xEB\x8B\xA4",
         "\xEA\xB3\xA0\xEC\x96\x91\xEC\x9D\xB4 \xEC\x99\x94\xEB\x8B\xA4", 2},
    };
    return cr_make_param_array(split_case, cases, RT_COUNT(cases));
}
ParameterizedTest(split_case *c, text_units, splits_and_folds)
{
    rt_buf normal = {0};
    text_units u = units_of(c->text);
    cr_expect_float_eq(u.n_words, c->n_words, 1e-9, "'%s' has %g words", c->text, u.n_words);
    cr_assert_eq(text_units_normalise(c->text, strlen(c->text), &normal, NULL), RT_OK);
    cr_expect_str_eq(normal.data == NULL ? "" : normal.data, c->normal, "'%s' gave '%s'", c->text,
                     normal.data);
    rt_buf_free(&normal);
    text_units_free(&u);
}

static size_t common_run(const char *a, const char *b)
{
    size_t n = 99;
    text_units x = units_of(a), y = units_of(b);
    cr_assert_eq(text_units_common_run(&x, &y, &n, NULL), RT_OK);
    text_units_free(&x);
    text_units_free(&y);
    return n;
}

Test(text_units, finds_the_longest_common_run)
{
    cr_expect_eq(common_run("", ""), 0);
    cr_expect_eq(common_run("a b c", ""), 0);
    cr_expect_eq(common_run("a b c", "d e"), 0);
    cr_expect_eq(common_run("a b c", "A, b: c"), 3);
    cr_expect_eq(common_run("x a b c y", "b c a b d a b c"), 3);
    cr_expect_eq(common_run("one two three four", "four three two one"), 1);
}

/* Plainly, over all pairs of places. */
static size_t common_run_slow(const text_units *a, const text_units *b)
{
    size_t best = 0;
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++) {
            size_t n = 0;
            while (i + n < a->n && j + n < b->n && a->hashes[i + n] == b->hashes[j + n]) n++;
            best = RT_MAX(best, n);
        }
    return best;
}

Test(text_units, agrees_with_the_plain_search)
{
    uint32_t state = 1;
    for (int run = 0; run < 200; run++) {
        char text[2][120];
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < sizeof text[k]; i++) {
                state = state * 1664525u + 1013904223u;
                text[k][i] = i % 2 == 1 ? ' ' : (char)('a' + (state >> 24) % 3);
            }
        text[0][119] = text[1][119] = '\0';
        text_units a = units_of(text[0]), b = units_of(text[1]);
        size_t n = 0;
        cr_assert_eq(text_units_common_run(&a, &b, &n, NULL), RT_OK);
        cr_assert_eq(n, common_run_slow(&a, &b), "run %d", run);
        text_units_free(&a);
        text_units_free(&b);
    }
}

static double repeated(const char *text)
{
    double share = -1;
    text_units u = units_of(text);
    cr_assert_eq(text_units_repeated(&u, 4, &share, NULL), RT_OK);
    text_units_free(&u);
    return share;
}

Test(text_units, measures_repetition)
{
    cr_expect_eq(repeated(""), 0);
    cr_expect_eq(repeated("no no no"), 0, "too short to tell");
    cr_expect_eq(repeated("all the words here differ"), 0);
    cr_expect_float_eq(repeated("no no no no no"), 0.5, 1e-12, "two runs, one of them distinct");
    cr_expect_float_eq(repeated("a b c d a b c d a b c d"), 1 - 4.0 / 9, 1e-12);
}

Test(text_units, measures_the_share_of_known_words)
{
    double share = -1;
    text_units a = units_of("It is red because it is red"), b = units_of("because red");
    text_units none = {0};
    cr_assert_eq(text_units_share_in(&a, &b, &share, NULL), RT_OK);
    cr_expect_float_eq(share, 3.0 / 7, 1e-12);
    cr_assert_eq(text_units_share_in(&none, &b, &share, NULL), RT_OK);
    cr_expect_eq(share, 0);
    cr_assert_eq(text_units_share_in(&a, &none, &share, NULL), RT_OK);
    cr_expect_eq(share, 0);
    text_units_free(&a);
    text_units_free(&b);
}
