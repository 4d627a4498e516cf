#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/text/rationale_filter.h"

static const rationale_limits usual = {
    .words_min = 8, .words_max = 60, .copied_max = 0.9, .leaked_max = 0.8, .repeated_max = 0.3};
static const char *const markers[] = {"The answer is"};
static const char *const classes[] = {"yes", "no"};
static const answer_rules yes_no = {
    .kind = RULE_CLASS, .markers = markers, .n_markers = 1, .classes = classes, .n_classes = 2};

#define GOOD                                                                                    \
    "Birds have feathers and lay eggs, and a penguin does both, although it swims rather than " \
    "flies; therefore it counts among them."

static rationale_verdict judge_with(const rationale_limits *limits, const rationale_question *q,
                                    const char *rationale)
{
    rationale_verdict v;
    rt_error err = {0};
    cr_assert_eq(rationale_judge(limits, q, rationale, &v, &err), RT_OK, "%s", err.text);
    return v;
}

static rationale_verdict judge(const char *rationale)
{
    rationale_question q = {.rules = &yes_no, .input = "Is a penguin a bird?", .label = "yes"};
    return judge_with(&usual, &q, rationale);
}

Test(rationale_filter, finds_nothing_wrong_with_a_good_one)
{
    rationale_verdict v = judge(GOOD);
    cr_expect_eq(v.flags, 0, "flags %u", v.flags);
    cr_expect_eq(v.n_words, 22);
    cr_expect_gt(v.score, 0.6);
    cr_expect_eq(v.repeated, 0);
}

Test(rationale_filter, names_each_thing_that_is_wrong)
{
    static const struct {
        const char *rationale;
        unsigned flag;
    } cases[] = {
        {NULL, RATIONALE_NONE},
        {"", RATIONALE_NONE},
        {" ... ", RATIONALE_NONE},
        {"Birds lay eggs.", RATIONALE_SHORT},
        {"Is a penguin a bird", RATIONALE_COPIES},
        {"It is yes because the answer is yes, so it must be yes.", RATIONALE_LEAKS},
        {"It swims and dives and swims and dives and swims and dives and swims and dives.",
         RATIONALE_REPEATS},
        {"Birds fly and penguins do not fly anywhere at all, hence no.", RATIONALE_CONTRADICTS},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rationale_verdict v = judge(cases[i].rationale);
        cr_expect((v.flags & cases[i].flag) != 0, "'%s' has flags %u and not %s",
                  cases[i].rationale == NULL ? "NULL" : cases[i].rationale, v.flags,
                  rationale_flag_name(cases[i].flag));
        cr_expect_lt(v.score, judge(GOOD).score, "'%s'", cases[i].rationale);
    }
}

Test(rationale_filter, counts_unspaced_scripts_in_words_of_theirs)
{
    /* ペンギンは羽があり卵を産むので鳥である: 19 characters, some nine words and a half */
    static const char japanese[] =
        "\xE3\x83\x9A\xE3\x83\xB3\xE3\x82\xAE\xE3\x83\xB3\xE3\x81\xAF\xE7\xBE\xBD\xE3\x81\x8C"
        "\xE3\x81\x82\xE3\x82\x8A\xE5\x8D\xB5\xE3\x82\x92\xE7\x94\xA3\xE3\x82\x80\xE3\x81\xAE"
        "\xE3\x81\xA7\xE9\xB3\xA5\xE3\x81\xA7\xE3\x81\x82\xE3\x82\x8B";
    rationale_verdict v = judge(japanese);
    cr_expect_float_eq(v.n_words, 9.5, 1e-9);
    cr_expect_eq(v.flags, 0, "flags %u", v.flags);
    /* 答えは yes です */
    v = judge("\xE7\xAD\x94\xE3\x81\x88\xE3\x81\xAF yes \xE3\x81\xA7\xE3\x81\x99");
    cr_expect((v.flags & RATIONALE_LEAKS) != 0, "leaked %g", v.leaked);
}

Test(rationale_filter, holds_the_label_against_the_gold_answer_where_there_is_one)
{
    answer_rules number = {.kind = RULE_NUMBER};
    rationale_question q = {.rules = &number, .input = "?", .label = "1200", .gold = "1,200.0"};
    cr_expect_eq(judge_with(&usual, &q, NULL).flags & RATIONALE_WRONG, 0);
    q.gold = "12";
    cr_expect_neq(judge_with(&usual, &q, NULL).flags & RATIONALE_WRONG, 0);
    q.gold = "not a number";
    cr_expect_eq(judge_with(&usual, &q, NULL).flags & RATIONALE_WRONG, 0, "not known");
    q.gold = NULL;
    cr_expect_eq(judge_with(&usual, &q, NULL).flags & RATIONALE_WRONG, 0);
}

/* A looser limit never flags what a stricter one let pass. */
Test(rationale_filter, raising_a_limit_never_adds_a_flag)
{
    static const char *const rationales[] = {
        GOOD, "Birds lay eggs.", "Is a penguin a bird? Is a penguin a bird? It is.",
        "It is yes because it is yes.", "a b c d a b c d a b c d a b c d"};
    rationale_question q = {.rules = &yes_no, .input = "Is a penguin a bird?", .label = "yes"};
    for (size_t i = 0; i < RT_COUNT(rationales); i++) {
        unsigned before = ~0u;
        for (int k = 0; k <= 10; k++) {
            rationale_limits l = {.words_min = 10 - k,
                                  .words_max = 1 + 10 * k,
                                  .copied_max = k / 10.0,
                                  .leaked_max = k / 10.0,
                                  .repeated_max = k / 10.0};
            unsigned now = judge_with(&l, &q, rationales[i]).flags;
            cr_expect_eq(now & ~before, 0, "'%s' at %d: %u after %u", rationales[i], k, now,
                         before);
            before = now;
        }
    }
}

Test(rationale_filter, prefers_twenty_to_thirty_words)
{
    char text[2000] = "";
    double at[101] = {0};
    for (int n = 1; n <= 100; n++) {
        char word[16];
        snprintf(word, sizeof word, "w%d ", n);
        strcat(text, word);
        at[n] = judge(text).score;
    }
    cr_expect_eq(at[20], at[30]);
    cr_expect_lt(at[10], at[20]);
    cr_expect_lt(at[45], at[30]);
    cr_expect_lt(at[5], at[10]);
    cr_expect_lt(at[90], at[60]);
    cr_expect_float_eq(at[60], 0.5, 1e-12);
    cr_expect_float_eq(at[10], 0.5, 1e-12);
}

Test(rationale_filter, flags_and_names_are_one_to_one)
{
    for (unsigned i = 0; i < RATIONALE_FLAGS; i++) {
        const char *name = rationale_flag_name(1u << i);
        cr_assert_not_null(name);
        cr_expect_eq(rationale_flag_of(name), 1u << i);
    }
    cr_expect_null(rationale_flag_name(3));
    cr_expect_null(rationale_flag_name(0));
    cr_expect_eq(rationale_flag_of("nonsense"), 0);
}
