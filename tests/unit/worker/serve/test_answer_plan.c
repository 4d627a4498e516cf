/* How a student is asked, and what its writing becomes. */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/serve/answer_plan.h"

static const char *const markers[] = {"#"};

static student_spec spec_of(student_task by, bool explains)
{
    static char format[] = "{marker} {label}", name[] = "sums";
    return (student_spec){.task_name = name,
                          .label_format = format,
                          .rules = {.kind = RULE_NUMBER, .markers = markers, .n_markers = 1},
                          .answers_by = by,
                          .explains = explains};
}

static serve_request chat(wanted_part part, bool split)
{
    return (serve_request){.kind = SERVE_CHAT, .part = part, .split_reasoning = split};
}

Test(answer_plan, asks_a_student_for_what_is_wanted)
{
    static const struct {
        student_task by;
        wanted_part part;
        bool split;
        size_t n_parts;
        student_task tasks[2];
        bool is_direct;
    } cases[] = {
        {TASK_SOLVE, WANT_WRITTEN, false, 1, {TASK_SOLVE}, true},
        {TASK_SOLVE, WANT_BOTH, false, 1, {TASK_SOLVE}, true},
        {TASK_SOLVE, WANT_BOTH, true, 1, {TASK_SOLVE}, false},
        {TASK_SOLVE, WANT_LABEL, false, 1, {TASK_SOLVE}, false},
        {TASK_SOLVE, WANT_RATIONALE, false, 1, {TASK_SOLVE}, false},
        {TASK_PREDICT, WANT_WRITTEN, false, 1, {TASK_PREDICT}, true},
        {TASK_PREDICT, WANT_LABEL, false, 1, {TASK_PREDICT}, false},
        {TASK_PREDICT, WANT_RATIONALE, false, 1, {TASK_EXPLAIN}, true},
        {TASK_PREDICT, WANT_BOTH, false, 2, {TASK_EXPLAIN, TASK_PREDICT}, false},
        {TASK_PREDICT, WANT_BOTH, true, 2, {TASK_EXPLAIN, TASK_PREDICT}, false},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        student_spec spec = spec_of(cases[i].by, true);
        serve_request ask = chat(cases[i].part, cases[i].split);
        answer_plan plan;
        cr_assert(answer_plan_make(&spec, &ask, &plan, NULL));
        cr_expect_eq(plan.n_parts, cases[i].n_parts, "case %zu", i);
        cr_expect_eq(plan.is_direct, cases[i].is_direct, "case %zu", i);
        for (size_t k = 0; k < plan.n_parts; k++)
            cr_expect_eq(plan.tasks[k], cases[i].tasks[k], "case %zu", i);
    }
}

Test(answer_plan, takes_prompts_as_they_are_where_no_student_is_asked)
{
    student_spec spec = spec_of(TASK_SOLVE, false);
    serve_request ask = {.kind = SERVE_COMPLETIONS}, plain = chat(WANT_WRITTEN, false);
    answer_plan plan;
    cr_assert(answer_plan_make(&spec, &ask, &plan, NULL));
    cr_expect(plan.n_parts == 1 && plan.tasks[0] == TASK_COUNT && plan.is_direct);
    cr_assert(answer_plan_make(NULL, &plain, &plan, NULL));
    cr_expect(plan.n_parts == 1 && plan.tasks[0] == TASK_COUNT && plan.is_direct);
}

Test(answer_plan, refuses_what_the_model_cannot_give)
{
    student_spec labels = spec_of(TASK_PREDICT, false);
    api_error why = {0};
    answer_plan plan;
    static const wanted_part parts[] = {WANT_RATIONALE, WANT_BOTH};
    for (size_t i = 0; i < RT_COUNT(parts); i++) {
        serve_request ask = chat(parts[i], false);
        cr_expect(!answer_plan_make(&labels, &ask, &plan, &why));
        cr_expect_str_eq(why.param, "retort.answer");
    }
    serve_request ask = chat(WANT_LABEL, false);
    cr_expect(!answer_plan_make(NULL, &ask, &plan, &why));
    cr_expect(answer_plan_make(&labels, &ask, &plan, &why));
}

static answer_texts read_answer(student_task by, wanted_part part, bool split, const char *first,
                                const char *second)
{
    student_spec spec = spec_of(by, true);
    serve_request ask = chat(part, split);
    const char *written[] = {first, second};
    bool truncated[2] = {false, false};
    answer_plan plan;
    answer_texts texts = {0};
    cr_assert(answer_plan_make(&spec, &ask, &plan, NULL));
    cr_assert_eq(answer_texts_read(&spec, &plan, "1+1", written, truncated, &texts, NULL), RT_OK);
    return texts;
}

static void expect(answer_texts texts, const char *content, const char *reasoning,
                   const char *problem)
{
    const char *found[] = {texts.content, texts.reasoning, texts.problem};
    const char *wanted[] = {content, reasoning, problem};
    for (size_t i = 0; i < 3; i++)
        cr_expect((found[i] == NULL) == (wanted[i] == NULL) &&
                      (found[i] == NULL || strcmp(found[i], wanted[i]) == 0),
                  "%zu: '%s', expected '%s'", i, found[i] != NULL ? found[i] : "(none)",
                  wanted[i] != NULL ? wanted[i] : "(none)");
    answer_texts_free(&texts);
}

Test(answer_plan, reads_the_parts_of_an_answer)
{
    const char *solved = "1+1=2. # 2,000";
    expect(read_answer(TASK_SOLVE, WANT_LABEL, false, solved, NULL), "2000", NULL, NULL);
    expect(read_answer(TASK_SOLVE, WANT_RATIONALE, false, solved, NULL), "1+1=2.", NULL, NULL);
    expect(read_answer(TASK_SOLVE, WANT_BOTH, true, solved, NULL), "2000", "1+1=2.", NULL);
    expect(read_answer(TASK_PREDICT, WANT_LABEL, false, " 2 ", NULL), "2", NULL, NULL);
    expect(read_answer(TASK_PREDICT, WANT_BOTH, true, " one and one ", "2"), "2", "one and one",
           NULL);
    expect(read_answer(TASK_PREDICT, WANT_BOTH, false, " one and one ", "2"), "one and one # 2",
           NULL, NULL);
}

Test(answer_plan, says_why_a_label_cannot_be_read)
{
    expect(read_answer(TASK_SOLVE, WANT_LABEL, false, "no mark", NULL), NULL, NULL, "no_marker");
    expect(read_answer(TASK_SOLVE, WANT_BOTH, true, "why # x", NULL), NULL, "why", "bad_label");
    expect(read_answer(TASK_PREDICT, WANT_BOTH, false, "why", "x"), "why", NULL, "bad_label");
    expect(read_answer(TASK_SOLVE, WANT_LABEL, false, "", NULL), NULL, NULL, "empty");
}
