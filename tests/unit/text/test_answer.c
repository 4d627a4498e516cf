#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/text/answer.h"

static const char *const classes[] = {"entailment", "neutral", "contradiction"};
static const char *const answer_marker[] = {"Answer:"};
static const char *const is_markers[] = {"The answer is"};
static const char *const two_markers[] = {"So the answer is", "the answer is"};
static const char *const stops[] = {"\n\nQ:", "\nQ:"};

#define WITH(kind_, markers_, n_)                                                 \
    {                                                                             \
        .kind = kind_, .markers = markers_, .n_markers = n_, .stop_marks = stops, \
        .n_stop_marks = 2                                                         \
    }

static const answer_rules number_rules = WITH(RULE_NUMBER, is_markers, 1);
static const answer_rules equation_rules = WITH(RULE_EQUATION, is_markers, 1);
static const answer_rules choice_rules = WITH(RULE_CHOICE, two_markers, 2);
static const answer_rules text_rules = WITH(RULE_TEXT, is_markers, 1);
static const answer_rules bare_rules = {.kind = RULE_TEXT, .stop_marks = stops, .n_stop_marks = 2};
static const answer_rules class_rules = {.kind = RULE_CLASS,
                                         .markers = answer_marker,
                                         .n_markers = 1,
                                         .stop_marks = stops,
                                         .n_stop_marks = 2,
                                         .classes = classes,
                                         .n_classes = 3};

static const char pets[] = "Which?\nAnswer Choices:\n(a) dog\n(b) wooded area\n(c) dog\n"
                           "(d) bus\n(e) bus station\n(f) Mexico";

typedef struct parse_case {
    const char *raw;
    parse_status status;
    const char *label;
    const char *rationale;
    unsigned flags;
    bool truncated;
} parse_case;

static void check_cases(const answer_rules *rules, const char *input, const parse_case *cases,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const parse_case *c = &cases[i];
        parsed_answer a = {0};
        rt_error err = {0};
        cr_assert_eq(answer_parse(rules, input, c->raw, strlen(c->raw), c->truncated, &a, &err),
                     RT_OK, "%s", err.text);
        cr_expect_eq(a.status, c->status, "'%s': %s, expected %s", c->raw,
                     parse_status_name(a.status), parse_status_name(c->status));
        const char *label = a.label == NULL ? "(none)" : a.label;
        cr_expect_str_eq(label, c->label == NULL ? "(none)" : c->label, "'%s'", c->raw);
        const char *rationale = a.rationale == NULL ? "(none)" : a.rationale;
        cr_expect_str_eq(rationale, c->rationale == NULL ? "(none)" : c->rationale, "'%s'", c->raw);
        cr_expect_eq(a.flags, c->flags, "'%s': flags %u, expected %u", c->raw, a.flags, c->flags);
        parsed_answer_free(&a);
    }
}

#define CHECK(rules, input, cases) check_cases(&(rules), input, cases, RT_COUNT(cases))

enum {
    RUN_ON = PARSE_FLAG_RUN_ON,
    MULTI = PARSE_FLAG_MULTI_MARKER,
    NO_REASON = PARSE_FLAG_NO_RATIONALE,
    MISMATCH = PARSE_FLAG_LETTER_MISMATCH,
};

Test(answer, classes_are_found_in_any_case_and_dress)
{
    static const parse_case cases[] = {
        {"Because.\nAnswer: neutral", PARSE_OK, "neutral", "Because.", 0, false},
        {"Because.\nAnswer: Neutral.", PARSE_OK, "neutral", "Because.", 0, false},
        {"Because.\nAnswer: **ENTAILMENT**", PARSE_OK, "entailment", "Because.", 0, false},
        {"Because.\nAnswer:\n\ncontradiction\nmore", PARSE_OK, "contradiction", "Because.", 0,
         false},
        {"B.\nanswer: neutral", PARSE_OK, "neutral", "B.", 0, false},
        {"B. Answer: neutral\n\nQ: next Answer: entailment", PARSE_OK, "neutral", "B.", RUN_ON,
         false},
        {"Answer: entailment\nno, Answer: neutral", PARSE_OK, "neutral", "Answer: entailment\nno,",
         MULTI, false},
        {"Answer: neutral", PARSE_OK, "neutral", NULL, NO_REASON, false},
        {"B. Answer: neutral, because it may be.", PARSE_OK, "neutral", "B.", 0, false},
        {"B. Answer: neutral. It is no contradiction.", PARSE_OK, "neutral", "B.", 0, false},
        {"B. Answer: neutral or entailment", PARSE_BAD_LABEL, NULL, "B.", 0, false},
        {"B. Answer: neutrality", PARSE_BAD_LABEL, NULL, "B.", 0, false},
        {"B. Answer: not neutral", PARSE_BAD_LABEL, NULL, "B.", 0, false},
        {"B. Answer: maybe", PARSE_BAD_LABEL, NULL, "B.", 0, false},
        {"B. Answer: entail", PARSE_TRUNCATED, NULL, "B.", 0, false},
        {"B. Answer: entail.", PARSE_BAD_LABEL, NULL, "B.", 0, false},
        {"B. Answer: neutral", PARSE_OK, "neutral", "B.", 0, true},
        {"B. Answer:", PARSE_EMPTY_LABEL, NULL, "B.", 0, false},
        {"B. Answer: ", PARSE_TRUNCATED, NULL, "B.", 0, true},
        {"B. Answer:\n\nQ: next", PARSE_EMPTY_LABEL, NULL, "B.", RUN_ON, true},
        {"Only words.", PARSE_NO_MARKER, NULL, "Only words.", 0, false},
        {"Only wor", PARSE_TRUNCATED, NULL, "Only wor", 0, true},
        {"Only words.\n\nQ: Answer: neutral", PARSE_NO_MARKER, NULL, "Only words.", RUN_ON, true},
        {"", PARSE_EMPTY, NULL, NULL, 0, false},
        {" \n\t ", PARSE_EMPTY, NULL, NULL, 0, false},
        {"\n\nQ: next", PARSE_EMPTY, NULL, NULL, RUN_ON, false},
    };
    CHECK(class_rules, NULL, cases);
}

Test(answer, a_class_that_may_grow_into_another_waits_for_its_end)
{
    static const char *const growing[] = {"not", "not sure"};
    static const parse_case cases[] = {
        {"B. Answer: not", PARSE_TRUNCATED, NULL, "B.", 0, true},
        {"B. Answer: not", PARSE_OK, "not", "B.", 0, false},
        {"B. Answer: not.", PARSE_OK, "not", "B.", 0, true},
        {"B. Answer: not sure", PARSE_OK, "not sure", "B.", 0, true},
        {"B. Answer: not sure, really", PARSE_OK, "not sure", "B.", 0, false},
    };
    answer_rules rules = class_rules;
    rules.classes = growing;
    rules.n_classes = 2;
    CHECK(rules, NULL, cases);
}

Test(answer, a_marker_matches_by_case_before_it_matches_without)
{
    static const parse_case cases[] = {
        {"The answer is 4, not what the answer is 5", PARSE_OK, "4", NULL, NO_REASON, false},
        {"So: the ANSWER is 5", PARSE_OK, "5", "So:", 0, false},
    };
    CHECK(number_rules, NULL, cases);
}

Test(answer, numbers_lose_commas_units_and_currency)
{
    static const parse_case cases[] = {
        {"S. The answer is 87.", PARSE_OK, "87", "S.", 0, false},
        {"S. The answer is 87 apples.", PARSE_OK, "87", "S.", 0, false},
        {"S. The answer is # 87", PARSE_OK, "87", "S.", 0, false},
        {"S. The answer is #### 87", PARSE_OK, "87", "S.", 0, false},
        {"S. The answer is $1,200.50.", PARSE_OK, "1200.5", "S.", 0, false},
        {"S. The answer is: **42**", PARSE_OK, "42", "S.", 0, false},
        {"S. The answer is \\boxed{42}.", PARSE_OK, "42", "S.", 0, false},
        {"S. The answer is -3.", PARSE_OK, "-3", "S.", 0, false},
        {"S. The answer is -$3", PARSE_OK, "-3", "S.", 0, false},
        {"S. The answer is \xE2\x88\x92"
         "3",
         PARSE_OK, "-3", "S.", 0, false},
        {"S. The answer is 007.50", PARSE_OK, "7.5", "S.", 0, false},
        {"S. The answer is .5", PARSE_OK, "0.5", "S.", 0, false},
        {"S. The answer is -0.0", PARSE_OK, "0", "S.", 0, false},
        {"S. The answer is 100", PARSE_OK, "100", "S.", 0, false},
        {"S. The answer is 50%.", PARSE_OK, "50", "S.", 0, false},
        {"S. The answer is 12 * 3 = 36.", PARSE_OK, "36", "S.", 0, false},
        {"S. The answer is A12, so 7", PARSE_OK, "7", "S.", 0, false},
        {"S. The answer is \xEF\xBC\x91\xEF\xBC\x92\xE3\x81\xA7\xE3\x81\x99", PARSE_OK, "12", "S.",
         0, false},
        {"S. The answer is 3/4.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. The answer is seven.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. The answer is $", PARSE_TRUNCATED, NULL, "S.", 0, true},
        {"S. The answer is 12", PARSE_TRUNCATED, NULL, "S.", 0, true},
        {"S. The answer is 12.", PARSE_OK, "12", "S.", 0, true},
        {"S. The answer is 12\n\nQ: more", PARSE_OK, "12", "S.", RUN_ON, true},
        {"S. The answer is 12\nDone", PARSE_OK, "12", "S.", 0, true},
    };
    CHECK(number_rules, NULL, cases);
}

Test(answer, equations_are_kept_as_written_when_they_have_a_value)
{
    static const parse_case cases[] = {
        {"S. The answer is (84 / 2).", PARSE_OK, "(84 / 2)", "S.", 0, false},
        {"S. The answer is (84  /\t2).", PARSE_OK, "(84 / 2)", "S.", 0, false},
        {"S. The answer is (45 - (-1)).", PARSE_OK, "(45 - (-1))", "S.", 0, false},
        {"S. The answer is 84 / 2", PARSE_OK, "84 / 2", "S.", 0, false},
        {"S. The answer is (84 / 2) apples each.", PARSE_OK, "(84 / 2)", "S.", 0, false},
        {"S. The answer is (84 / 2). So 42.", PARSE_OK, "(84 / 2)", "S.", 0, false},
        {"S. The answer is $5 * 3.", PARSE_OK, "$5 * 3", "S.", 0, false},
        {"S. The answer is (2).\n\nQ: x", PARSE_OK, "(2)", "S.", RUN_ON, false},
        {"S. The answer is (4 / 0).", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is (23 + x).", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is (some - 551).", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is some - 551.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is x + 5.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is 5 + x.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is 7x.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is (7x = 14).", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is (8 / 4) and (6 / 4).", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is unknown.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is ((491 - 21", PARSE_TRUNCATED, NULL, "S.", 0, false},
        {"S. The answer is (3 + 4) *", PARSE_TRUNCATED, NULL, "S.", 0, false},
        {"S. The answer is (3 + 4)", PARSE_TRUNCATED, NULL, "S.", 0, true},
        {"S. The answer is ((491 - 21.\nmore", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is", PARSE_EMPTY_LABEL, NULL, "S.", 0, false},
    };
    CHECK(equation_rules, NULL, cases);
}

Test(answer, an_equation_outside_its_parentheses_is_read_only_when_lenient)
{
    static const parse_case strict[] = {
        {"S. The answer is (12 - 2) - 7.", PARSE_BAD_EQUATION, NULL, "S.", 0, false},
        {"S. The answer is (1 + 2) * (3 + 4).", PARSE_OK, "(1 + 2) * (3 + 4)", "S.", 0, false},
    };
    static const parse_case lenient[] = {
        {"S. The answer is (12 - 2) - 7.", PARSE_OK, "(12 - 2) - 7", "S.", 0, false},
        {"S. The answer is 2 * (3 + 4) each.", PARSE_OK, "2 * (3 + 4)", "S.", 0, false},
    };
    answer_rules rules = equation_rules;
    CHECK(rules, NULL, strict);
    rules.lenient = true;
    CHECK(rules, NULL, lenient);
}

Test(answer, choices_are_checked_against_the_input_and_text_wins_over_letter)
{
    static const parse_case cases[] = {
        {"S. So the answer is (b) wooded area.", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is wooded area.", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is (d) wooded area.", PARSE_OK, "wooded area", "S.", MISMATCH, false},
        {"S. So the answer is (c) dog.", PARSE_OK, "dog", "S.", 0, false},
        {"S. So the answer is (b).", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is (B)", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is b.", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is b) wooded area", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is **(b) wooded area**", PARSE_OK, "wooded area", "S.", 0, false},
        {"S. So the answer is (b) wooded area, of course.", PARSE_OK, "wooded area", "S.", 0,
         false},
        {"S. So the answer is (b) wooded area\n\nQ: So the answer is (d) bus.", PARSE_OK,
         "wooded area", "S.", RUN_ON, false},
        {"It may be that the answer is (a) dog. So the answer is (d) bus.", PARSE_OK, "bus",
         "It may be that the answer is (a) dog.", MULTI, false},
        {"S. So the answer is either (a) dog or (d) bus.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. So the answer is (a) dog or (d) bus.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. So the answer is (a) cat.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. So the answer is (z).", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. So the answer is (f) mexico.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
        {"S. So the answer is (b) wooded ar", PARSE_TRUNCATED, NULL, "S.", 0, false},
        {"S. So the answer is (d) bus", PARSE_TRUNCATED, NULL, "S.", 0, true},
        {"S. So the answer is (d) bus.", PARSE_OK, "bus", "S.", 0, true},
        {"S. So the answer is (e) bus station", PARSE_OK, "bus station", "S.", 0, true},
        {"S. So the answer is (b", PARSE_TRUNCATED, NULL, "S.", 0, false},
        {"S. So the answer is (", PARSE_TRUNCATED, NULL, "S.", 0, false},
        {"S. So the answer is", PARSE_EMPTY_LABEL, NULL, "S.", 0, false},
    };
    static const parse_case without[] = {
        {"S. So the answer is (a) dog.", PARSE_BAD_LABEL, NULL, "S.", 0, false},
    };
    static const parse_case lenient[] = {
        {"S. So the answer is (f) mexico.", PARSE_OK, "Mexico", "S.", 0, false},
        {"S. So the answer is Wooded Area.", PARSE_OK, "wooded area", "S.", 0, false},
    };
    CHECK(choice_rules, pets, cases);
    CHECK(choice_rules, "no choices here", without);
    CHECK(choice_rules, NULL, without);
    answer_rules rules = choice_rules;
    rules.lenient = true;
    CHECK(rules, pets, lenient);
}

Test(answer, text_labels_are_one_line_behind_a_marker_or_the_whole_text_without)
{
    static const parse_case marked[] = {
        {"Think. The answer is Paris, France.\nMore.", PARSE_OK, "Paris, France", "Think.", 0,
         false},
        {"Think. The answer is Par", PARSE_TRUNCATED, NULL, "Think.", 0, true},
        {"Think. The answer is Paris.", PARSE_OK, "Paris", "Think.", 0, true},
        {"The answer is: Paris", PARSE_OK, "Paris", NULL, NO_REASON, false},
    };
    static const parse_case bare[] = {
        {" two\nlines. \n", PARSE_OK, "two\nlines.", NULL, NO_REASON, false},
        {"one\nQ: two", PARSE_OK, "one", NULL, NO_REASON | RUN_ON, true},
        {"cut of", PARSE_TRUNCATED, NULL, NULL, 0, true},
        {"", PARSE_EMPTY, NULL, NULL, 0, false},
    };
    CHECK(text_rules, NULL, marked);
    CHECK(bare_rules, NULL, bare);
}

Test(answer, other_kinds_without_markers_read_the_whole_text_too)
{
    static const parse_case cases[] = {{"neutral", PARSE_OK, "neutral", NULL, NO_REASON, false}};
    answer_rules rules = class_rules;
    rules.n_markers = 0;
    CHECK(rules, NULL, cases);
}

Test(answer, bytes_that_are_no_text_are_repaired)
{
    static const char raw[] = "a\xFF\0z\nAnswer: neutral";
    parsed_answer a = {0};
    cr_assert_eq(answer_parse(&class_rules, NULL, raw, sizeof raw - 1, false, &a, NULL), RT_OK);
    cr_expect_eq(a.status, PARSE_OK);
    cr_expect_str_eq(a.rationale, "a\xEF\xBF\xBD z");
    parsed_answer_free(&a);
    parsed_answer_free(NULL);
}

typedef struct canonical_case {
    const char *label;
    const char *expected; /* NULL: refused */
} canonical_case;

static void check_canonical(const answer_rules *rules, const canonical_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        parse_status status = PARSE_EMPTY;
        char *out = NULL;
        cr_assert_eq(answer_canonical(rules, pets, cases[i].label, &status, &out, NULL), RT_OK);
        cr_expect_eq(status == PARSE_OK, cases[i].expected != NULL, "'%s': %s", cases[i].label,
                     parse_status_name(status));
        cr_expect_str_eq(out == NULL ? "" : out, cases[i].expected == NULL ? "" : cases[i].expected,
                         "'%s'", cases[i].label);
        free(out);
    }
}

Test(answer, bare_labels_come_to_canonical_form)
{
    static const canonical_case choices[] = {
        {"Wooded Area", "wooded area"}, {"(b)", "wooded area"}, {" bus. ", "bus"},
        {"MEXICO", "Mexico"},           {"cat", NULL},          {"", NULL}};
    static const canonical_case names[] = {{" Neutral ", "neutral"}, {"unknown", NULL}};
    static const canonical_case numbers[] = {{"$1,000", "1000"}, {"18", "18"}, {"none", NULL}};
    static const canonical_case equations[] = {
        {"( 10.0 * 45.0 )", "( 10.0 * 45.0 )"}, {"(12 - 2) - 7", "(12 - 2) - 7"}, {"(12 - ", NULL}};
    static const canonical_case texts[] = {{" two\nlines. ", "two\nlines."}, {"  ", NULL}};
    check_canonical(&choice_rules, choices, RT_COUNT(choices));
    check_canonical(&class_rules, names, RT_COUNT(names));
    check_canonical(&number_rules, numbers, RT_COUNT(numbers));
    check_canonical(&equation_rules, equations, RT_COUNT(equations));
    check_canonical(&text_rules, texts, RT_COUNT(texts));
}

Test(answer, equality_follows_the_kind)
{
    cr_expect(answer_equal(&equation_rules, "(84 / 2)", "( 84.0 / 2.0 )"));
    cr_expect(answer_equal(&equation_rules, "(84 / 2)", "42"));
    cr_expect_not(answer_equal(&equation_rules, "(84 / 2)", "43"));
    cr_expect_not(answer_equal(&equation_rules, "x", "x"), "no value equals nothing");
    cr_expect(answer_equal(&number_rules, "1,000", "1000.0"));
    cr_expect(answer_equal(&choice_rules, "Bus ", "bus"));
    cr_expect(answer_equal(&class_rules, "Neutral", "neutral"));
    cr_expect(answer_equal(&text_rules, " Paris", "Paris "));
    cr_expect_not(answer_equal(&text_rules, "paris", "Paris"));
}

Test(answer, every_status_has_a_stable_name)
{
    static const char *const names[] = {"ok",          "empty",     "no_marker",   "truncated",
                                        "empty_label", "bad_label", "bad_equation"};
    for (size_t i = 0; i < RT_COUNT(names); i++)
        cr_expect_str_eq(parse_status_name((parse_status)i), names[i]);
    cr_expect_str_eq(parse_status_name((parse_status)99), "unknown");
}

Test(answer, any_bytes_give_a_status)
{
    static const char alphabet[] =
        "(a) Answer: The answer is 12.-+*/=neutral\n\nQ:\xE3\x80\x82\xFF";
    const answer_rules *all[] = {&number_rules, &equation_rules, &choice_rules,
                                 &text_rules,   &bare_rules,     &class_rules};
    for (uint64_t seed = 0; seed < 5000; seed++) {
        char raw[80];
        rng_key key = rng_key_make(seed, "bytes", (rt_id){0}, 0);
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = alphabet[rng_below(key, i, sizeof alphabet)];
        for (size_t k = 0; k < RT_COUNT(all); k++) {
            parsed_answer a = {0};
            cr_assert_eq(answer_parse(all[k], pets, raw, seed % sizeof raw, seed % 2, &a, NULL),
                         RT_OK);
            cr_assert_eq(a.status == PARSE_OK, a.label != NULL);
            parsed_answer_free(&a);
        }
    }
}
