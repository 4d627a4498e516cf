#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/worker/teacher/label_desk.h"

Test(label_shard, makes_records_with_label_rationale_and_meta)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    scripted_backend_say(d.script, "sky", 0, "It is blue.\nAnswer: yes\n\nQ: more");
    shard_example e = example_of("sky");
    e.source_id = "s-1";
    e.gold = "no";
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    const label_record *r = &d.records[0];
    cr_expect(rt_id_equal(r->id, e.id));
    cr_expect_str_eq(r->input, "sky");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_str_eq(r->rationale, "It is blue.");
    cr_expect_str_eq(r->source_id, "s-1");
    cr_expect_str_eq(r->gold, "no");
    cr_expect_null(r->reason);
    cr_expect_null(r->raw);
    cr_expect_eq(d.counts.n_labelled, 1);
    cr_expect_str_eq(d.script->calls[0].prompts[0], "Say yes or no.\n\nQ: sky\n");
    json_t *meta = meta_of(r);
    cr_expect_str_eq(json_string_value(json_object_get(meta, "teacher")), "oracle");
    cr_expect_str_eq(json_string_value(json_object_get(meta, "backend")), "scripted");
    cr_expect_str_eq(json_string_value(json_object_get(meta, "finish_reason")), "stop");
    cr_expect_str_eq(json_string_value(json_object_get(meta, "prompt_hash")),
                     prompt_profile_hash(d.prompts));
    cr_expect_eq(json_integer_value(json_object_get(meta, "attempts")), 1);
    json_t *tokens = json_object_get(meta, "tokens");
    cr_expect_eq(json_integer_value(json_object_get(tokens, "prompt")), 10);
    cr_expect_eq(json_integer_value(json_object_get(tokens, "completion")), 5);
    json_t *flags = json_object_get(meta, "parse");
    cr_expect_eq(json_array_size(flags), 1);
    cr_expect_str_eq(json_string_value(json_array_get(flags, 0)), "run_on");
    json_decref(meta);
    desk_free(&d);
}

typedef struct reason_case {
    char text[64];
    char expected[24];
    answer_rule_kind kind;
    bool truncated;
    bool keeps_rationale;
} reason_case;

ParameterizedTestParameters(label_shard, a_text_without_a_label_is_rejected_with_its_reason)
{
    static reason_case cases[] = {
        {"", "empty", RULE_CLASS, false, false},
        {"Only words.", "no_marker", RULE_CLASS, false, true},
        {"Only wor", "truncated", RULE_CLASS, true, true},
        {"B. Answer:", "empty_label", RULE_CLASS, false, true},
        {"B. Answer: perhaps", "bad_label", RULE_CLASS, false, true},
        {"B. Answer: (3 / ", "truncated", RULE_EQUATION, true, true},
        {"B. Answer: (3 + + / 2)).", "bad_equation", RULE_EQUATION, false, true},
    };
    return cr_make_param_array(reason_case, cases, RT_COUNT(cases));
}
ParameterizedTest(reason_case *c, label_shard, a_text_without_a_label_is_rejected_with_its_reason)
{
    desk d = desk_new(0);
    d.labeller.rules.kind = c->kind;
    scripted_backend_say(d.script, "x", 0, c->text);
    d.script->lines[0].truncated = c->truncated;
    shard_example e = example_of("x");
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_assert_not_null(d.records[0].reason, "'%s' was labelled", c->text);
    cr_expect_str_eq(d.records[0].reason, c->expected, "'%s': %s", c->text, d.records[0].reason);
    cr_expect_null(d.records[0].label);
    cr_expect_str_eq(d.records[0].raw, c->text);
    cr_expect_eq(d.records[0].rationale != NULL, c->keeps_rationale);
    cr_expect_eq(d.counts.n_rejected, 1);
    cr_expect_eq(d.counts.n_labelled, 0);
    desk_free(&d);
}

Test(label_shard, a_request_without_a_text_is_rejected_with_the_backends_reason_and_not_repeated)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    *scripted_backend_line(d.script) =
        (script_line){.input = "long", .reason = REASON_PROMPT_TOO_LONG};
    shard_example e[] = {example_of("long"), example_of("unknown")};
    cr_assert_eq(desk_label(&d, e, 2), RT_OK);
    cr_expect_str_eq(d.records[0].reason, "prompt_too_long");
    cr_expect_str_eq(d.records[1].reason, "not_recorded");
    cr_expect_str_eq(d.records[0].raw, "");
    cr_expect_eq(d.script->n_calls, 1);
    desk_free(&d);
}

Test(label_shard, a_failed_text_is_asked_for_again_warmer_and_as_another_sample)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    scripted_backend_say(d.script, "a", 0, "B. Answer: yes");
    scripted_backend_say(d.script, "b", 0, "no idea");
    scripted_backend_say(d.script, "b", 1, "still none");
    scripted_backend_say(d.script, "b", 2, "Ah. Answer: no");
    shard_example e[] = {example_of("a"), example_of("b")};
    cr_assert_eq(desk_label(&d, e, 2), RT_OK);
    cr_expect_str_eq(d.records[1].label, "no");
    cr_assert_eq(d.script->n_calls, 3);
    cr_expect_eq(d.script->calls[0].n, 2);
    cr_expect_eq(d.script->calls[0].sampling.temperature, 0);
    for (size_t i = 1; i < 3; i++) {
        const script_call *call = &d.script->calls[i];
        cr_expect_eq(call->n, 1);
        cr_expect_str_eq(call->inputs[0], "b");
        cr_expect_eq(call->samples[0], i);
        cr_expect_geq(call->sampling.temperature, RETRY_TEMPERATURE_MIN);
        cr_expect_eq(call->sampling.seed, 7);
    }
    cr_expect_eq(d.counts.n_retries, 2);
    cr_expect_eq(d.counts.n_prompt_tokens, 40);
    json_t *meta = meta_of(&d.records[1]);
    cr_expect_eq(json_integer_value(json_object_get(meta, "attempts")), 3);
    json_t *sampling = json_object_get(meta, "sampling");
    cr_expect_float_eq(json_real_value(json_object_get(sampling, "temperature")), 0.7, 1e-9);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(meta, "tokens"), "prompt")),
                 30);
    json_decref(meta);
    desk_free(&d);
}

Test(label_shard, a_warm_teacher_stays_as_warm_as_it_is_on_a_retry)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    d.labeller.sampling.temperature = 1.25;
    scripted_backend_say(d.script, "b", 0, "no idea");
    scripted_backend_say(d.script, "b", 1, "Answer: no");
    shard_example e = example_of("b");
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_expect_eq(d.script->calls[1].sampling.temperature, 1.25);
    desk_free(&d);
}

Test(label_shard, attempts_end_at_the_limit_and_the_last_text_is_kept)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    d.labeller.attempts_max = 2;
    scripted_backend_say(d.script, "b", 0, "first");
    scripted_backend_say(d.script, "b", 1, "second");
    scripted_backend_say(d.script, "b", 2, "Answer: no");
    shard_example e = example_of("b");
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_expect_str_eq(d.records[0].reason, "no_marker");
    cr_expect_str_eq(d.records[0].raw, "second");
    cr_expect_eq(d.script->n_calls, 2);
    desk_free(&d);
}

Test(label_shard, a_backend_that_only_recalls_is_asked_once)
{
    desk d = desk_new(0);
    scripted_backend_say(d.script, "b", 0, "first");
    scripted_backend_say(d.script, "b", 1, "Answer: no");
    shard_example e = example_of("b");
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_expect_str_eq(d.records[0].reason, "no_marker");
    cr_expect_eq(d.script->n_calls, 1);
    cr_expect_str_eq(d.script->calls[0].prompts[0], "", "no prompt is rendered for it");
    desk_free(&d);
}

Test(label_shard, a_good_label_without_a_rationale_is_kept)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    scripted_backend_say(d.script, "a", 0, "Answer: yes");
    shard_example e = example_of("a");
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_expect_str_eq(d.records[0].label, "yes");
    cr_expect_null(d.records[0].rationale);
    cr_expect_eq(d.script->n_calls, 1);
    desk_free(&d);
}

Test(label_shard, an_archived_example_gets_no_record)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    scripted_backend_say(d.script, "b", 0, "Answer: yes");
    shard_example e[] = {example_of("a"), example_of("b")};
    e[0].done = true;
    cr_assert_eq(desk_label(&d, e, 2), RT_OK);
    cr_expect_null(d.records[0].input);
    cr_expect_null(d.records[0].label);
    cr_expect_null(d.records[0].reason);
    cr_expect_str_eq(d.records[1].label, "yes");
    cr_expect_eq(d.script->calls[0].n, 1, "only what is missing is asked for");
    cr_expect_eq(d.counts.n_labelled + d.counts.n_rejected, 1);
    desk_free(&d);
}

/* What a fixed unit decodes must be the same whatever was archived before. */
Test(label_shard, a_fixed_unit_is_decoded_whole_in_every_attempt)
{
    script_call calls[2][2];
    for (int archived = 0; archived < 2; archived++) {
        desk d = desk_new(BACKEND_CAN_GENERATE | BACKEND_FIXED_UNIT);
        scripted_backend_say(d.script, "a", 0, "no idea");
        scripted_backend_say(d.script, "a", 1, "Answer: no");
        scripted_backend_say(d.script, "b", 0, "no idea");
        scripted_backend_say(d.script, "b", 1, "Answer: yes");
        scripted_backend_say(d.script, "c", 0, "Answer: yes");
        shard_example e[] = {example_of("a"), example_of("b"), example_of("c")};
        e[0].done = e[2].done = archived == 1;
        cr_assert_eq(desk_label(&d, e, 3), RT_OK);
        cr_assert_eq(d.script->n_calls, 2);
        cr_expect_str_eq(d.records[1].label, "yes");
        cr_expect_eq(d.records[0].label == NULL, archived == 1);
        memcpy(calls[archived], d.script->calls, sizeof calls[archived]);
        desk_free(&d);
    }
    for (size_t k = 0; k < 2; k++) {
        cr_assert_eq(calls[0][k].n, calls[1][k].n);
        for (size_t i = 0; i < calls[0][k].n; i++)
            cr_expect_str_eq(calls[0][k].inputs[i], calls[1][k].inputs[i]);
    }
    cr_expect_eq(calls[0][0].n, 3);
    cr_expect_eq(calls[0][1].n, 2);
}

Test(label_shard, the_same_answers_give_the_same_bytes)
{
    rt_buf lines[2] = {{0}};
    for (size_t k = 0; k < 2; k++) {
        desk d = desk_new(BACKEND_CAN_GENERATE);
        scripted_backend_say(d.script, "a", 0, "Because. Answer: yes");
        shard_example e = example_of("a");
        cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
        cr_assert_eq(label_record_to_json(&d.records[0], &lines[k], NULL), RT_OK);
        desk_free(&d);
    }
    cr_expect_str_eq(lines[0].data, lines[1].data);
    rt_buf_free(&lines[0]);
    rt_buf_free(&lines[1]);
}

Test(label_shard, broken_text_is_repaired_and_not_passed_on)
{
    desk d = desk_new(0);
    script_line *line = scripted_backend_line(d.script);
    *line = (script_line){.input = "a", .text = "caf\xC3 \0 Answer: maybe", .n_text = 20};
    shard_example e = example_of("a");
    rt_buf json = {0};
    cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
    cr_expect_str_eq(d.records[0].reason, "bad_label");
    cr_expect_str_eq(d.records[0].raw, "caf\xEF\xBF\xBD   Answer: maybe");
    cr_expect_eq(label_record_to_json(&d.records[0], &json, NULL), RT_OK);
    rt_buf_free(&json);
    desk_free(&d);
}

Test(label_shard, a_failing_backend_fails_the_shard_and_writes_nothing)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    d.script->fails_with = RT_UNAVAILABLE;
    shard_example e = example_of("a");
    label_counts before = d.counts;
    cr_expect_eq(desk_label(&d, &e, 1), RT_UNAVAILABLE);
    cr_expect_null(d.records[0].input);
    cr_expect_eq(memcmp(&before, &d.counts, sizeof before), 0);
    desk_free(&d);
}

static bool leave_at_once(void *context)
{
    ++*(int *)context;
    return true;
}

Test(label_shard, leaves_between_two_attempts_when_asked_to)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    int n_asked = 0;
    d.labeller.should_leave = leave_at_once;
    d.labeller.leave_context = &n_asked;
    scripted_backend_say(d.script, "a", 0, "no idea");
    shard_example e = example_of("a");
    cr_expect_eq(desk_label(&d, &e, 1), RT_CANCELLED);
    cr_expect_eq(n_asked, 1);
    cr_expect_eq(d.script->n_calls, 1);
    desk_free(&d);
}

Test(label_shard, an_empty_shard_is_fine)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    cr_expect_eq(desk_label(&d, NULL, 0), RT_OK);
    cr_expect_eq(d.counts.n_labelled, 0);
    desk_free(&d);
}
