/* A second teacher for what the first rejects or is not sure of. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/worker/teacher/label_desk.h"

/* Two desks: the first's labeller has the second's behind it. */
typedef struct pair {
    desk cheap, strong;
} pair;

static void pair_open(pair *p)
{
    p->cheap = desk_new(BACKEND_CAN_GENERATE);
    p->strong = desk_new(BACKEND_CAN_GENERATE);
    p->cheap.labeller.name = "cheap";
    p->strong.labeller.name = "strong";
    p->cheap.labeller.attempts_max = p->strong.labeller.attempts_max = 1;
    p->cheap.labeller.second = &p->strong.labeller;
    p->cheap.labeller.when_rejected = true;
}

static void pair_free(pair *p)
{
    desk_free(&p->cheap);
    desk_free(&p->strong);
}

static const char *text_of(const label_record *r, const char *key, const char *inner)
{
    static char text[64];
    json_t *meta = meta_of(r);
    json_t *value = json_object_get(meta, key);
    if (inner != NULL) value = json_object_get(value, inner);
    snprintf(text, sizeof text, "%s", json_is_string(value) ? json_string_value(value) : "");
    json_decref(meta);
    return text;
}

Test(label_second, is_asked_about_what_the_first_rejects_and_only_that)
{
    pair p;
    pair_open(&p);
    scripted_backend_say(p.cheap.script, "a", 0, "B. Answer: yes");
    scripted_backend_say(p.cheap.script, "b", 0, "no idea");
    scripted_backend_say(p.strong.script, "b", 0, "C. Answer: no");
    p.cheap.script->lines[1].cost = 0.5;
    p.strong.script->lines[0].cost = 2;
    shard_example e[] = {example_of("a"), example_of("b")};
    cr_assert_eq(desk_label(&p.cheap, e, 2), RT_OK);
    const label_record *r = p.cheap.records;
    cr_expect_str_eq(r[0].label, "yes");
    cr_expect_str_eq(text_of(&r[0], "teacher", NULL), "cheap");
    cr_expect_null(strstr(r[0].meta, "escalated"));
    cr_expect_str_eq(r[1].label, "no");
    cr_expect_str_eq(r[1].rationale, "C.");
    cr_expect_str_eq(text_of(&r[1], "teacher", NULL), "strong");
    cr_expect_str_eq(text_of(&r[1], "escalated", "from"), "cheap");
    cr_expect_str_eq(text_of(&r[1], "escalated", "reason"), "no_marker");
    cr_expect_not_null(strstr(r[1].meta, "\"cost\":2.0"), "%s", r[1].meta);
    cr_expect_not_null(strstr(r[1].meta, "\"cost\":0.5"), "%s", r[1].meta);
    cr_expect_eq(p.strong.script->n_calls, 1);
    cr_expect_eq(p.strong.script->calls[0].n, 1);
    cr_expect_eq(p.cheap.counts.n_escalated, 1);
    cr_expect_eq(p.cheap.counts.n_labelled, 2);
    cr_expect_eq(p.cheap.counts.n_prompt_tokens, 30, "of both teachers");
    pair_free(&p);
}

Test(label_second, is_asked_about_what_the_first_is_not_sure_of)
{
    static const char *const split[] = {"B. Answer: yes", "B. Answer: no", "B. Answer: yes"};
    pair p;
    pair_open(&p);
    p.cheap.labeller.policy =
        (answer_policy){.samples = 3, .stop_probability = 1, .temperature = 0.7};
    p.cheap.labeller.when_confidence_below = 0.8;
    for (uint32_t i = 0; i < 3; i++) {
        scripted_backend_say(p.cheap.script, "open", i, split[i]);
        scripted_backend_say(p.cheap.script, "sure", i, "B. Answer: yes");
    }
    scripted_backend_say(p.strong.script, "open", 0, "C. Answer: no");
    shard_example e[] = {example_of("open"), example_of("sure")};
    cr_assert_eq(desk_label(&p.cheap, e, 2), RT_OK);
    const label_record *r = p.cheap.records;
    cr_expect_str_eq(r[0].label, "no");
    cr_expect_str_eq(text_of(&r[0], "escalated", "reason"), "low_confidence");
    cr_expect_str_eq(text_of(&r[0], "escalated", "label"), "yes");
    cr_expect_null(strstr(r[0].meta, "\"votes\""), "the second had one text: no vote");
    cr_expect_str_eq(r[1].label, "yes");
    cr_expect_eq(p.strong.script->calls[0].n, 1);
    pair_free(&p);
}

Test(label_second, without_an_answer_of_its_own_the_firsts_label_stays)
{
    pair p;
    pair_open(&p);
    p.cheap.labeller.policy =
        (answer_policy){.samples = 2, .stop_probability = 1, .temperature = 0.7};
    p.cheap.labeller.when_confidence_below = 0.9;
    scripted_backend_say(p.cheap.script, "x", 0, "B. Answer: yes");
    scripted_backend_say(p.cheap.script, "x", 1, "B. Answer: no");
    scripted_backend_say(p.strong.script, "x", 0, "hard to say");
    shard_example e = example_of("x");
    cr_assert_eq(desk_label(&p.cheap, &e, 1), RT_OK);
    const label_record *r = p.cheap.records;
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(text_of(r, "teacher", NULL), "cheap");
    cr_expect_str_eq(text_of(r, "escalated", "to"), "strong");
    cr_expect_str_eq(text_of(r, "escalated", "reason"), "no_marker");
    pair_free(&p);
}

Test(label_second, when_both_fail_the_reason_is_of_the_one_that_wrote_last)
{
    pair p;
    pair_open(&p);
    scripted_backend_say(p.cheap.script, "x", 0, "no idea");
    scripted_backend_say(p.strong.script, "x", 0, "Hm. Answer: perhaps");
    scripted_backend_say(p.cheap.script, "y", 0, "no idea");
    shard_example e[] = {example_of("x"), example_of("y")};
    cr_assert_eq(desk_label(&p.cheap, e, 2), RT_OK);
    const label_record *r = p.cheap.records;
    cr_expect_str_eq(r[0].reason, "bad_label");
    cr_expect_str_eq(r[0].raw, "Hm. Answer: perhaps");
    cr_expect_str_eq(text_of(&r[0], "escalated", "from"), "cheap");
    cr_expect_str_eq(r[1].reason, "no_marker", "the second has no text at all");
    cr_expect_str_eq(r[1].raw, "no idea");
    cr_expect_str_eq(text_of(&r[1], "escalated", "reason"), "not_recorded");
    cr_expect_eq(p.cheap.counts.n_rejected, 2);
    pair_free(&p);
}

Test(label_second, is_not_asked_about_what_is_done_unless_a_unit_must_be_whole)
{
    for (int unit = 0; unit < 3; unit++) {
        pair p;
        pair_open(&p);
        if (unit == 1) p.cheap.script->ops.flags |= BACKEND_FIXED_UNIT;
        if (unit == 2) p.strong.script->ops.flags |= BACKEND_FIXED_UNIT;
        shard_example e[] = {example_of("x"), example_of("y")};
        e[0].done = true;
        for (size_t i = 0; i < 2; i++) {
            scripted_backend_say(p.cheap.script, e[i].input, 0, "no idea");
            scripted_backend_say(p.strong.script, e[i].input, 0, "Hm. Answer: yes");
        }
        cr_assert_eq(desk_label(&p.cheap, e, 2), RT_OK);
        cr_expect_null(p.cheap.records[0].label);
        cr_expect_str_eq(p.cheap.records[1].label, "yes");
        cr_expect_eq(p.cheap.script->calls[0].n, unit == 0 ? 1 : 2, "unit %d", unit);
        cr_expect_eq(p.strong.script->calls[0].n, unit == 2 ? 2 : 1, "unit %d", unit);
        cr_expect_eq(p.cheap.counts.n_escalated, 1);
        pair_free(&p);
    }
}

Test(label_second, its_failure_fails_the_shard)
{
    pair p;
    pair_open(&p);
    p.strong.script->fails_with = RT_UNAVAILABLE;
    scripted_backend_say(p.cheap.script, "a", 0, "B. Answer: yes");
    shard_example e = example_of("a");
    cr_expect_eq(desk_label(&p.cheap, &e, 1), RT_OK, "nobody needed it");
    e = example_of("b");
    cr_expect_eq(desk_label(&p.cheap, &e, 1), RT_UNAVAILABLE);
    pair_free(&p);
}
