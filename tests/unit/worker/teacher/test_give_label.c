/* A text more with the gold label in the prompt, where no text gives it. */
#include "worker/teacher/give_label.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/dataset/gold_use.h"
#include "tests/unit/worker/teacher/label_desk.h"

static desk desk_with(uint64_t samples)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    d.labeller.attempts_max = 1;
    d.labeller.label_given = "{input} It is {label}. Why?";
    d.labeller.policy =
        (answer_policy){.samples = samples,
                        .stop_probability = 1,
                        .temperature = 0.8,
                        .limits = {.copied_max = 1, .leaked_max = 1, .repeated_max = 1}};
    return d;
}

static void say_all(desk *d, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) scripted_backend_say(d->script, "sky", (uint32_t)i, texts[i]);
}

static const label_record *label_one(desk *d, const char *gold)
{
    shard_example e = example_of("sky");
    e.gold = gold;
    cr_assert_eq(desk_label(d, &e, 1), RT_OK);
    return &d->records[0];
}

/* meta.gold as text; "" where there is none. */
static const char *gold_of(const label_record *r)
{
    static char text[256];
    json_t *meta = meta_of(r);
    char *dump = json_dumps(json_object_get(meta, "gold"), JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(text, sizeof text, "%s", dump == NULL ? "" : dump);
    free(dump);
    json_decref(meta);
    return text;
}

Test(give_label, asks_once_more_with_the_label_and_takes_the_rationale_that_leads_there)
{
    static const char *const texts[] = {"It is green. Answer: no", "Light scatters. Answer: yes"};
    desk d = desk_with(1);
    say_all(&d, texts, 2);
    const label_record *r = label_one(&d, "Yes");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(r->rationale, "Light scatters.");
    cr_expect_str_eq(gold_of(r), "{\"by\":\"label_given\",\"said\":\"no\"}");
    cr_expect_eq(gold_use_of(r->meta), GOLD_USE_LABEL);
    cr_assert_eq(d.script->n_calls, 2);
    cr_expect_str_eq(d.script->calls[1].prompts[0], "Say yes or no.\n\nQ: sky It is yes. Why?\n",
                     "in canonical form");
    cr_expect_eq(d.script->calls[1].samples[0], 1, "a number that no text had");
    cr_expect_eq(d.counts.n_label_given, 1);
    cr_expect_eq(d.counts.n_label_given_taken, 1);
    cr_expect_eq(d.counts.n_prompt_tokens, 20, "both are counted");
    cr_expect_not_null(strstr(r->meta, "\"attempts\":2"), "%s", r->meta);
    cr_expect_not_null(strstr(r->meta, "\"prompt\":20"), "%s", r->meta);
    desk_free(&d);
}

Test(give_label, is_not_for_right_answers_nor_without_gold_nor_unless_it_is_set)
{
    static const char *const texts[] = {"It is green. Answer: no", "Light scatters. Answer: yes"};
    desk d = desk_with(1);
    say_all(&d, texts, 2);
    const label_record *r = label_one(&d, "no");
    cr_expect_str_eq(gold_of(r), "");
    r = label_one(&d, NULL);
    cr_expect_str_eq(gold_of(r), "");
    r = label_one(&d, "perhaps");
    cr_expect_str_eq(gold_of(r), "", "the gold answer is no label of the task");
    d.labeller.label_given = "";
    r = label_one(&d, "yes");
    cr_expect_str_eq(r->label, "no");
    cr_expect_str_eq(gold_of(r), "");
    cr_expect_eq(d.script->n_calls, 4);
    cr_expect_eq(d.counts.n_label_given, 0);
    desk_free(&d);
}

Test(give_label, rows_without_a_label_get_one_too)
{
    static const char *const texts[] = {"Who knows?", "Light scatters. Answer: yes"};
    desk d = desk_with(1);
    say_all(&d, texts, 2);
    const label_record *r = label_one(&d, "yes");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(gold_of(r), "{\"by\":\"label_given\",\"reason\":\"no_marker\"}");
    cr_expect_eq(gold_use_of(r->meta), GOLD_USE_REJECTED);
    cr_expect_eq(d.counts.n_labelled, 1);
    cr_expect_eq(d.counts.n_rejected, 0);
    desk_free(&d);
}

typedef struct fault_case {
    const char *text, *why;
    unsigned reject, drop;
} fault_case;

Test(give_label, leaves_all_as_it_was_when_the_text_is_of_no_use)
{
    static const fault_case cases[] = {
        {"Still green. Answer: no", "wrong_label", 0, 0},
        {"Because.", "no_marker", 0, 0},
        {"Answer: yes", "no_rationale", 0, 0},
        {"Yes, yes. Answer: yes", "too_short", RATIONALE_SHORT, 0},
        {"Yes, yes. Answer: yes", "too_short", 0, RATIONALE_SHORT},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const char *const texts[] = {"It is green, as far as I can see. Answer: no", cases[i].text};
        char expected[64];
        desk d = desk_with(1);
        d.labeller.policy.limits.words_min = 3;
        d.labeller.policy.reject = cases[i].reject;
        d.labeller.policy.drop_rationale = cases[i].drop;
        say_all(&d, texts, 2);
        const label_record *r = label_one(&d, "yes");
        cr_expect_str_eq(r->label, "no", "case %zu", i);
        snprintf(expected, sizeof expected, "{\"failed\":\"%s\"}", cases[i].why);
        cr_expect_str_eq(gold_of(r), expected, "case %zu", i);
        cr_expect_eq(gold_use_of(r->meta), GOLD_USE_NONE);
        cr_expect_eq(d.counts.n_label_given, 1);
        cr_expect_eq(d.counts.n_label_given_taken, 0);
        desk_free(&d);
    }
}

Test(give_label, a_text_that_has_the_gold_label_goes_before_the_winner_and_nobody_is_asked)
{
    static const char *const texts[] = {"It is green. Answer: no", "Light scatters. Answer: yes",
                                        "It is grey. Answer: no"};
    desk d = desk_with(3);
    d.labeller.policy.confidence_min = 0.9;
    say_all(&d, texts, 3);
    const label_record *r = label_one(&d, "yes");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(r->rationale, "Light scatters.");
    cr_expect_str_eq(gold_of(r), "{\"by\":\"text\",\"said\":\"no\"}");
    cr_expect_eq(d.script->n_calls, 1);
    cr_expect_not_null(strstr(r->meta, "\"votes\":{\"no\":2,\"yes\":1}"), "%s", r->meta);
    desk_free(&d);
}

Test(give_label, rows_whose_texts_did_not_all_come_wait)
{
    static const char *const texts[] = {"It is green. Answer: no"};
    desk d = desk_with(2);
    say_all(&d, texts, 1); /* the second sample has no text */
    const label_record *r = label_one(&d, "yes");
    cr_expect_str_eq(r->label, "no");
    cr_expect_eq(d.script->n_calls, 1);
    desk_free(&d);
}

Test(give_label, a_row_that_the_budget_did_not_reach_stays_pending)
{
    static const char *const texts[] = {"It is green. Answer: no"};
    desk d = desk_with(1);
    say_all(&d, texts, 1);
    *scripted_backend_line(d.script) =
        (script_line){.input = "sky", .sample = 1, .reason = REASON_NOT_SENT};
    const label_record *r = label_one(&d, "yes");
    cr_expect_null(r->input, "no record is made");
    desk_free(&d);
}

Test(give_label, the_second_teacher_is_given_the_label_where_it_was_asked)
{
    desk cheap = desk_with(1), strong = desk_with(1);
    cheap.labeller.name = "cheap";
    strong.labeller.name = "strong";
    cheap.labeller.second = &strong.labeller;
    cheap.labeller.when_rejected = true;
    scripted_backend_say(cheap.script, "sky", 0, "Who knows?");
    scripted_backend_say(strong.script, "sky", 0, "It is green. Answer: no");
    scripted_backend_say(strong.script, "sky", 1, "Light scatters. Answer: yes");
    const label_record *r = label_one(&cheap, "yes");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(gold_of(r), "{\"by\":\"label_given\",\"said\":\"no\"}");
    cr_expect_not_null(strstr(r->meta, "\"teacher\":\"strong\""), "%s", r->meta);
    cr_expect_eq(cheap.script->n_calls, 1);
    cr_expect_eq(strong.script->n_calls, 2);
    desk_free(&cheap);
    desk_free(&strong);
}
