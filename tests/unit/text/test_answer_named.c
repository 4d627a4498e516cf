#include <criterion/criterion.h>

#include "common/text/answer_named.h"

static const char *const classes[] = {"entailment", "not_entailment", "neutral", "no"};
static const char input[] =
    "Where?\nAnswer Choices:\n(a) bank\n(b) savings bank\n(c) river bank.\n";

typedef struct named_case {
    answer_rule_kind kind;
    const char *text;
    const char *label;
    named_label expected;
} named_case;

Test(answer_named, knows_the_last_label_of_a_text)
{
    static const named_case cases[] = {
        /* numbers: a result, an expression, a bare number */
        {RULE_NUMBER, "14 - 5 = 9, 9 * 4 = 36.", "36", NAMED_SAME},
        {RULE_NUMBER, "14 - 5 = 9, 9 * 4 = 36.", "9", NAMED_OTHER},
        {RULE_NUMBER, "3 * 2 = 6 apples for 2 children.", "6", NAMED_SAME},
        {RULE_NUMBER, "They pay 3 * 2.", "6", NAMED_SAME},
        {RULE_NUMBER, "2 + 2 = 4. Then 4 * 5", "20", NAMED_SAME},
        {RULE_NUMBER, "So there are 1,200 of them.", "1200", NAMED_SAME},
        {RULE_NUMBER, "It falls to -3", "-3", NAMED_SAME},
        {RULE_NUMBER, "5 - 9 = -4", "-4", NAMED_SAME},
        {RULE_NUMBER, "It takes 10-12 days", "12", NAMED_SAME},
        {RULE_NUMBER, "costs = $5.50", "5.5", NAMED_SAME},
        {RULE_NUMBER, "No number and/or value", "5", NAMED_NONE},
        {RULE_NUMBER, "", "5", NAMED_NONE},
        {RULE_NUMBER, "=", "5", NAMED_NONE},
        {RULE_NUMBER, "is 1.0 / 3", "0.333333333", NAMED_SAME},
        /* equations */
        {RULE_EQUATION, "They had 84. Each got 84 / 2.", "(84 / 2)", NAMED_SAME},
        {RULE_EQUATION, "They had 84. Each got 84 / 2 = 42.", "(84 / 2)", NAMED_SAME},
        {RULE_EQUATION, "They had 84. Each got 84 * 2.", "(84 / 2)", NAMED_OTHER},
        {RULE_EQUATION, "They had 84 and shared them among 2.", "(84 / 2)", NAMED_NONE},
        /* classes */
        {RULE_CLASS, "Neutral at first, but it is an entailment.", "entailment", NAMED_SAME},
        {RULE_CLASS, "It is not_entailment", "entailment", NAMED_OTHER},
        {RULE_CLASS, "It is not_entailment", "not_entailment", NAMED_SAME},
        {RULE_CLASS, "NEUTRAL", "neutral", NAMED_SAME},
        {RULE_CLASS, "It is neutral. Or an entailment! Well.", "neutral", NAMED_OTHER},
        {RULE_CLASS, "It is neutral and no entailment.", "neutral", NAMED_SAME},
        {RULE_CLASS, "nothing is known", "neutral", NAMED_NONE},
        /* choices by letter and by text */
        {RULE_CHOICE, "Money is kept in a bank, not by the river bank.", "river bank.", NAMED_SAME},
        {RULE_CHOICE, "So (a).", "bank", NAMED_SAME},
        {RULE_CHOICE, "So (A) and not (b)", "bank", NAMED_SAME},
        {RULE_CHOICE, "Not (a). So it must be (b).", "bank", NAMED_OTHER},
        {RULE_CHOICE, "A savings bank", "savings bank", NAMED_SAME},
        {RULE_CHOICE, "A savings bank", "bank", NAMED_OTHER},
        {RULE_CHOICE, "embankment (z)", "bank", NAMED_NONE},
        /* free text names nothing */
        {RULE_TEXT, "anything", "thing", NAMED_NONE},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const named_case *c = &cases[i];
        answer_rules rules = {.kind = c->kind, .classes = classes, .n_classes = RT_COUNT(classes)};
        cr_expect_eq(answer_named_last(&rules, input, c->text, c->label), c->expected,
                     "case %zu: '%s' with label '%s'", i, c->text, c->label);
    }
}

Test(answer_named, does_without_an_input)
{
    answer_rules rules = {.kind = RULE_CHOICE};
    cr_expect_eq(answer_named_last(&rules, NULL, "So (a)", "bank"), NAMED_NONE);
}
