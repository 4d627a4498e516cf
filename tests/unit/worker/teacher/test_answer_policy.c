#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/settings.h"
#include "worker/teacher/answer_policy.h"

static config *parse(const char *yaml)
{
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(config_parse("t.yaml", yaml, strlen(yaml), NULL, &c, &err), RT_OK, "%s", err.text);
    return c;
}

Test(answer_policy, the_settings_name_every_filter_and_no_other)
{
    static const char *const paths[] = {"quality.note_if", "quality.drop_rationale_if",
                                        "quality.reject_if"};
    for (size_t k = 0; k < RT_COUNT(paths); k++) {
        const char *const *names = settings_find_path(paths[k])->names;
        size_t n = 0;
        for (; names[n] != NULL; n++)
            cr_expect_eq(rationale_flag_of(names[n]), 1u << n, "%s", names[n]);
        cr_expect_eq(n, RATIONALE_FLAGS);
    }
}

Test(answer_policy, by_default_asks_once_and_judges_nothing)
{
    config *c = parse("name: x\n");
    answer_policy p = answer_policy_of(c);
    cr_expect_not(answer_policy_votes(&p));
    cr_expect_not(answer_policy_judges(&p));
    cr_expect_eq(answer_policy_noted(&p), 0);
    config_free(c);
}

Test(answer_policy, reads_the_settings)
{
    config *c = parse("corpus: {files: [q], gold: \"{a}\"}\n"
                      "teacher: {backend: native, model: m}\n"
                      "quality: {samples: 9, vote: cluster, size_weight: 2, confidence_min: 0.5,\n"
                      "  note_if: [too_long, repeats], drop_rationale_if: [leaks_label],\n"
                      "  reject_if: [wrong_label, no_rationale], words_min: 3, words_max: 0}\n");
    answer_policy p = answer_policy_of(c);
    cr_expect(answer_policy_votes(&p));
    cr_expect(answer_policy_judges(&p));
    cr_expect_eq(p.vote.rule, VOTE_CLUSTER);
    cr_expect_eq(p.vote.size_weight, 2);
    cr_expect_eq(p.note, RATIONALE_LONG | RATIONALE_REPEATS);
    cr_expect_eq(p.drop_rationale, RATIONALE_LEAKS);
    cr_expect_eq(p.reject, RATIONALE_WRONG | RATIONALE_NONE);
    cr_expect_eq(answer_policy_noted(&p), RATIONALE_LONG | RATIONALE_REPEATS | RATIONALE_LEAKS |
                                              RATIONALE_WRONG | RATIONALE_NONE);
    cr_expect_eq(p.limits.words_min, 3);
    cr_expect_eq(p.limits.words_max, 0);
    config_free(c);
}
