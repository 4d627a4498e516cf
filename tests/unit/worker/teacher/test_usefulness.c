/* Usefulness over a scripted scorer: a label is likely where its prompt has the word "surely". */
#include "worker/teacher/usefulness.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/worker/teacher/label_desk.h"

static char asked[32][256], labels[32][16];
static size_t n_asked;
static bool too_long;

static rt_status score(void *self, const backend_request *requests, const char *const *texts,
                       size_t n, double *out, rt_error *err)
{
    (void)self, (void)err;
    for (size_t i = 0; i < n; i++) {
        snprintf(asked[n_asked], sizeof asked[0], "%.*s", (int)requests[i].n_prompt,
                 requests[i].prompt);
        snprintf(labels[n_asked], sizeof labels[0], "%s", texts[i]);
        n_asked++;
        out[i] = strstr(requests[i].prompt, "surely") != NULL ? -0.5 : -2;
        if (strstr(requests[i].prompt, "misleads") != NULL) out[i] = -5;
        if (too_long) out[i] = NAN;
    }
    return RT_OK;
}

static desk desk_with(uint64_t samples)
{
    desk d = desk_new(BACKEND_CAN_GENERATE | BACKEND_CAN_SCORE);
    d.script->ops.score = score;
    d.labeller.policy =
        (answer_policy){.samples = samples,
                        .stop_probability = 1,
                        .temperature = 0.8,
                        .scores = true,
                        .limits = {.copied_max = 1, .leaked_max = 1, .repeated_max = 1}};
    d.labeller.scorer = (label_scorer){.backend = d.backend, .label_format = "{marker} {label}."};
    n_asked = 0;
    too_long = false;
    return d;
}

static const label_record *label_one(desk *d, const char *const *texts, size_t n)
{
    shard_example e = example_of("sky");
    for (size_t i = 0; i < n; i++) scripted_backend_say(d->script, "sky", (uint32_t)i, texts[i]);
    cr_assert_eq(desk_label(d, &e, 1), RT_OK);
    return &d->records[0];
}

static double usefulness_of(const label_record *r)
{
    json_t *meta = meta_of(r);
    json_t *value = json_object_get(meta, "usefulness");
    double x = value == NULL ? NAN : json_number_value(value);
    json_decref(meta);
    return x;
}

Test(usefulness, is_the_gain_of_the_label_behind_its_rationale)
{
    static const char *const texts[] = {"It is surely blue. Answer: yes"};
    desk d = desk_with(1);
    const label_record *r = label_one(&d, texts, 1);
    cr_expect_float_eq(usefulness_of(r), 1.5, 1e-9, "%s", r->meta);
    cr_assert_eq(n_asked, 2);
    cr_expect_str_eq(asked[0], "Say yes or no.\n\nQ: sky\nIt is surely blue. Answer:");
    cr_expect_str_eq(asked[1], "Say yes or no.\n\nQ: sky\nAnswer:");
    cr_expect_str_eq(labels[0], "yes");
    desk_free(&d);
}

Test(usefulness, ranks_the_rationales_of_the_winner_and_asks_about_no_other)
{
    static const char *const texts[] = {
        "A plain and quite long sentence about the colour of the sky, which is blue. Answer: yes",
        "It is surely blue. Answer: yes", "It is surely green. Answer: no",
        "IT IS surely blue! Answer: yes"};
    desk d = desk_with(4);
    const label_record *r = label_one(&d, texts, 4);
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(r->rationale, "It is surely blue.", "the other one has the better length");
    cr_expect_eq(n_asked, 3, "two ways to say it, and none");
    desk_free(&d);
}

Test(usefulness, flags_what_makes_its_label_no_likelier)
{
    static const char *const texts[] = {"It misleads you. Answer: yes"};
    desk d = desk_with(1);
    d.labeller.policy.note = RATIONALE_USELESS;
    const label_record *r = label_one(&d, texts, 1);
    cr_expect_not_null(strstr(r->meta, "\"filters\":[\"not_useful\"]"), "%s", r->meta);
    cr_expect_str_eq(r->rationale, "It misleads you.");
    d.labeller.policy.drop_rationale = RATIONALE_USELESS;
    r = label_one(&d, texts, 1);
    cr_expect_null(r->rationale);
    cr_expect_str_eq(r->label, "yes");
    d.labeller.policy.reject = RATIONALE_USELESS;
    r = label_one(&d, texts, 1);
    cr_expect_null(r->label);
    cr_expect_str_eq(r->reason, "not_useful");
    d.labeller.policy.useful_min = -3; /* a lower limit flags no more */
    r = label_one(&d, texts, 1);
    cr_expect_str_eq(r->label, "yes");
    desk_free(&d);
}

Test(usefulness, is_unknown_for_what_is_too_long_and_for_no_rationale)
{
    static const char *const bare[] = {"Answer: yes"};
    static const char *const texts[] = {"It is surely blue. Answer: yes"};
    desk d = desk_with(1);
    const label_record *r = label_one(&d, bare, 1);
    cr_expect(isnan(usefulness_of(r)), "%s", r->meta);
    cr_expect_eq(n_asked, 0);
    desk_free(&d);
    d = desk_with(1);
    too_long = true;
    d.labeller.policy.reject = RATIONALE_USELESS;
    r = label_one(&d, texts, 1);
    cr_expect(isnan(usefulness_of(r)), "%s", r->meta);
    cr_expect_str_eq(r->label, "yes", "what is not known is not held against it");
    desk_free(&d);
}

Test(usefulness, needs_a_label_in_the_format)
{
    static const char *const texts[] = {"It is surely blue. Answer: yes"};
    desk d = desk_with(1);
    shard_example e = example_of("sky");
    scripted_backend_say(d.script, "sky", 0, texts[0]);
    d.labeller.scorer.label_format = "{marker}";
    cr_expect_eq(desk_label(&d, &e, 1), RT_INVALID);
    desk_free(&d);
}
