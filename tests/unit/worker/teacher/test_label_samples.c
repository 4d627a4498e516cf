/* Several texts an example: asking, voting, filters, and what of it stands in meta. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/worker/teacher/label_desk.h"

static desk desk_with(uint64_t samples)
{
    desk d = desk_new(BACKEND_CAN_GENERATE);
    d.labeller.policy = (answer_policy){
        .samples = samples,
        .samples_min = 3,
        .stop_probability = 1,
        .temperature = 0.8,
        .limits = {.words_min = 3, .copied_max = 0.9, .leaked_max = 0.8, .repeated_max = 0.3}};
    return d;
}

/* Sample i says texts[i]. */
static void say_all(desk *d, const char *input, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) scripted_backend_say(d->script, input, (uint32_t)i, texts[i]);
}

static const label_record *label_one(desk *d, const char *input, const char *gold)
{
    shard_example e = example_of(input);
    e.gold = gold;
    cr_assert_eq(desk_label(d, &e, 1), RT_OK);
    return &d->records[0];
}

static double number_of(const label_record *r, const char *key, const char *inner)
{
    json_t *meta = meta_of(r);
    json_t *value = json_object_get(meta, key);
    if (inner != NULL) value = json_object_get(value, inner);
    double x = value == NULL ? -99 : json_number_value(value);
    json_decref(meta);
    return x;
}

static bool has_filter(const label_record *r, const char *name)
{
    json_t *meta = meta_of(r);
    json_t *list = json_object_get(meta, "filters"), *item;
    size_t i;
    bool found = false;
    json_array_foreach(list, i, item) found = found || strcmp(json_string_value(item), name) == 0;
    json_decref(meta);
    return found;
}

Test(label_samples, the_majority_wins_and_meta_says_how_sure_it_is)
{
    static const char *const texts[] = {"A good reason for no. Answer: no",
                                        "A reason of some words. Answer: yes",
                                        "Another reason of more words. Answer: yes", "no idea",
                                        "A third reason for it. Answer: yes"};
    desk d = desk_with(5);
    d.labeller.attempts_max = 1;
    say_all(&d, "sky", texts, 5);
    const label_record *r = label_one(&d, "sky", NULL);
    cr_expect_str_eq(r->label, "yes");
    cr_expect_eq(d.script->n_calls, 1, "one call for all samples");
    cr_expect_eq(d.script->calls[0].n, 5);
    for (uint32_t i = 0; i < 5; i++) cr_expect_eq(d.script->calls[0].samples[i], i);
    cr_expect_float_eq(d.script->calls[0].sampling.temperature, 0.8, 1e-9);
    cr_expect_eq(number_of(r, "samples", NULL), 5);
    cr_expect_eq(number_of(r, "unknown", NULL), 1);
    cr_expect_eq(number_of(r, "votes", "yes"), 3);
    cr_expect_eq(number_of(r, "votes", "no"), 1);
    cr_expect_float_eq(number_of(r, "confidence", NULL), 0.75, 1e-9);
    cr_expect_float_eq(number_of(r, "margin", NULL), 0.5, 1e-9);
    cr_expect_float_eq(number_of(r, "probability", NULL), 3.5 / 5, 1e-9);
    cr_expect_eq(number_of(r, "tokens", "prompt"), 50);
    cr_expect_eq(number_of(r, "tokens", "completion"), 25);
    cr_expect_eq(number_of(r, "attempts", NULL), 5);
    desk_free(&d);
}

Test(label_samples, only_what_is_missing_is_asked_for_again)
{
    static const char *const texts[] = {"no idea",        "B. Answer: yes", "no idea",
                                        "C. Answer: yes", "still none",     "D. Answer: no"};
    desk d = desk_with(3);
    d.labeller.attempts_max = 2;
    say_all(&d, "x", texts, 6);
    const label_record *r = label_one(&d, "x", NULL);
    cr_assert_eq(d.script->n_calls, 3);
    cr_expect_eq(d.script->calls[0].n, 3);
    cr_expect_eq(d.script->calls[1].n, 2, "two texts gave no label");
    cr_expect_eq(d.script->calls[1].samples[0], 3, "never the same sample twice");
    cr_expect_eq(d.script->calls[2].n, 1, "at most twice as many texts as votes");
    cr_expect_eq(number_of(r, "samples", NULL), 6);
    cr_expect_eq(number_of(r, "unknown", NULL), 3);
    cr_expect_eq(d.counts.n_retries, 3);
    cr_expect_str_eq(r->label, "yes");
    desk_free(&d);
}

Test(label_samples, texts_end_at_the_limit_of_attempts)
{
    desk d = desk_with(2);
    d.labeller.attempts_max = 3;
    for (uint32_t i = 0; i < 20; i++) scripted_backend_say(d.script, "x", i, "no idea");
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->reason, "no_marker");
    cr_expect_eq(number_of(r, "attempts", NULL), 6);
    cr_expect_eq(number_of(r, "samples", NULL), 6);
    cr_expect_eq(number_of(r, "confidence", NULL), -99, "there is none");
    desk_free(&d);
}

Test(label_samples, a_sample_without_a_text_is_not_asked_for_again)
{
    desk d = desk_with(4);
    scripted_backend_say(d.script, "x", 0, "B. Answer: yes");
    scripted_backend_say(d.script, "x", 1, "no idea");
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_eq(d.script->calls[1].n, 1, "for the one without a label only");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_eq(number_of(r, "samples", NULL), 2);
    r = label_one(&d, "unknown", NULL);
    cr_expect_str_eq(r->reason, "not_recorded");
    desk_free(&d);
}

Test(label_samples, the_vote_ends_early_where_all_agree_and_goes_on_where_they_do_not)
{
    static const char *const split[] = {
        "A. Answer: yes", "A. Answer: no", "A. Answer: yes", "A. Answer: no", "A. Answer: no",
        "A. Answer: no",  "A. Answer: no", "A. Answer: yes", "A. Answer: no", "A. Answer: no"};
    desk d = desk_with(10);
    d.labeller.policy.stop_probability = 0.95;
    say_all(&d, "open", split, 10);
    for (uint32_t i = 0; i < 10; i++) scripted_backend_say(d.script, "sure", i, "A. Answer: no");
    shard_example e[] = {example_of("sure"), example_of("open")};
    cr_assert_eq(desk_label(&d, e, 2), RT_OK);
    cr_expect_eq(number_of(&d.records[0], "samples", NULL), 3);
    cr_expect_eq(number_of(&d.records[1], "samples", NULL), 9, "six to three: one cannot turn it");
    cr_expect_eq(d.script->calls[0].n, 6, "both examples in one round");
    for (size_t i = 1; i < d.script->n_calls; i++)
        cr_expect_str_eq(d.script->calls[i].inputs[0], "open");
    cr_expect_lt(d.script->n_calls, 6, "a round asks for all that could decide it");
    cr_expect_str_eq(d.records[1].label, "no");
    cr_expect_eq(d.counts.n_retries, 0);
    desk_free(&d);
}

Test(label_samples, the_best_rationale_among_those_that_agree_is_kept)
{
    static const char *const texts[] = {
        "Answer: yes", "yes yes yes yes yes yes yes yes. Answer: yes",
        "The sky scatters short waves more than long ones, so that by day it looks blue. Answer: yes",
        "Nobody ever looked at it in the night without a lamp, so nobody can know at all. Answer: no"};
    desk d = desk_with(4);
    say_all(&d, "sky", texts, 4);
    const label_record *r = label_one(&d, "sky", NULL);
    cr_expect_str_eq(r->label, "yes");
    cr_expect_eq(strncmp(r->rationale, "The sky scatters", 16), 0, "%s", r->rationale);
    desk_free(&d);
}

Test(label_samples, of_equal_rationales_the_likelier_text_is_kept)
{
    desk d = desk_with(2);
    scripted_backend_say(d.script, "x", 0, "Because one two three. Answer: yes");
    scripted_backend_say(d.script, "x", 1, "Because four five six. Answer: yes");
    d.script->lines[0].logprob = -9;
    d.script->lines[1].logprob = -1;
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->rationale, "Because four five six.");
    cr_expect_eq(number_of(r, "logprob", NULL), -1);
    cr_expect_float_eq(number_of(r, "weighted_confidence", NULL), 1, 1e-9);
    desk_free(&d);
}

Test(label_samples, a_text_whose_rationale_a_filter_drops_comes_last)
{
    static const char *const texts[] = {
        "Light of short waves is scattered more than that of long ones, hence no. Answer: yes",
        "So. Answer: yes"};
    desk d = desk_with(2);
    d.labeller.policy.drop_rationale = RATIONALE_CONTRADICTS;
    say_all(&d, "sky", texts, 2);
    cr_expect_str_eq(label_one(&d, "sky", NULL)->rationale, "So.", "though it has more flags");
    d.labeller.policy.drop_rationale = 0;
    cr_expect_eq(label_one(&d, "sky", NULL)->rationale[0], 'L');
    desk_free(&d);
}

Test(label_samples, an_unsure_vote_is_rejected_when_that_is_asked_for)
{
    static const char *const texts[] = {"B. Answer: yes", "B. Answer: no", "B. Answer: yes"};
    desk d = desk_with(3);
    d.labeller.policy.confidence_min = 0.7;
    say_all(&d, "x", texts, 3);
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_null(r->label);
    cr_expect_str_eq(r->reason, "low_confidence");
    cr_expect_str_eq(r->raw, "B. Answer: yes");
    cr_expect_eq(number_of(r, "votes", "yes"), 2);
    desk_free(&d);
}

Test(label_samples, a_filter_may_note_drop_or_reject)
{
    desk d = desk_with(1);
    d.labeller.attempts_max = 1;
    scripted_backend_say(d.script, "x", 0, "It is surely so, hence no. Answer: yes");
    const label_record *r = label_one(&d, "x", NULL);
    json_t *meta = meta_of(r);
    cr_expect_null(json_object_get(meta, "filters"), "nobody asked");
    cr_expect_null(json_object_get(meta, "votes"));
    json_decref(meta);

    d.labeller.policy.note = RATIONALE_CONTRADICTS | RATIONALE_SHORT;
    r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->rationale, "It is surely so, hence no.");
    cr_expect(has_filter(r, "contradicts_label"));
    cr_expect_not(has_filter(r, "too_short"));

    d.labeller.policy.drop_rationale = RATIONALE_CONTRADICTS;
    r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->label, "yes");
    cr_expect_null(r->rationale);
    cr_expect(has_filter(r, "contradicts_label"));

    d.labeller.policy.reject = RATIONALE_CONTRADICTS;
    r = label_one(&d, "x", NULL);
    cr_expect_null(r->label);
    cr_expect_str_eq(r->reason, "contradicts_label");
    cr_expect_str_eq(r->raw, "It is surely so, hence no. Answer: yes");
    desk_free(&d);
}

Test(label_samples, a_text_that_a_filter_rejects_has_no_vote_and_is_asked_for_again)
{
    static const char *const texts[] = {"It is surely so, hence no. Answer: yes",
                                        "It is surely not so, hence no. Answer: no"};
    desk d = desk_with(1);
    d.labeller.attempts_max = 2;
    d.labeller.policy.reject = RATIONALE_CONTRADICTS;
    say_all(&d, "x", texts, 2);
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->label, "no");
    cr_expect_eq(d.script->n_calls, 2);
    cr_expect_eq(d.counts.n_retries, 1);
    desk_free(&d);
}

Test(label_samples, a_wrong_label_is_a_matter_of_the_vote)
{
    static const char *const texts[] = {"B is for. Answer: yes", "B is for. Answer: no",
                                        "B is for. Answer: yes"};
    desk d = desk_with(3);
    say_all(&d, "x", texts, 3);
    d.labeller.policy.reject = RATIONALE_WRONG;
    const label_record *r = label_one(&d, "x", "no");
    cr_expect_str_eq(r->reason, "wrong_label");
    cr_expect_float_eq(number_of(r, "confidence", NULL), 2.0 / 3, 1e-9, "all texts were counted");
    cr_expect_str_eq(label_one(&d, "x", "yes")->label, "yes");
    cr_expect_str_eq(label_one(&d, "x", NULL)->label, "yes", "without a gold answer nothing is");
    d.labeller.policy.reject = 0;
    d.labeller.policy.drop_rationale = RATIONALE_WRONG;
    r = label_one(&d, "x", "no");
    cr_expect_str_eq(r->label, "yes");
    cr_expect_null(r->rationale);
    desk_free(&d);
}

Test(label_samples, what_was_thought_apart_is_the_rationale_where_the_text_has_none)
{
    desk d = desk_with(1);
    scripted_backend_say(d.script, "x", 0, "Answer: yes");
    scripted_backend_say(d.script, "y", 0, "As said. Answer: yes");
    for (size_t i = 0; i < 2; i++) {
        script_line *line = &d.script->lines[i];
        line->reasoning = " \nHm, blue \xFF light. \n";
        line->n_reasoning_tokens = 4;
        line->n_cached_tokens = 3;
        line->cost = 0.25;
        line->cached = i == 1;
    }
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_str_eq(r->rationale, "Hm, blue \xEF\xBF\xBD light.");
    json_t *meta = meta_of(r);
    cr_expect_str_eq(json_string_value(json_object_get(meta, "rationale_source")), "think");
    cr_expect_null(json_object_get(meta, "cached"));
    json_decref(meta);
    cr_expect_eq(number_of(r, "tokens", "reasoning"), 4);
    cr_expect_eq(number_of(r, "tokens", "cached"), 3);
    cr_expect_float_eq(number_of(r, "cost", NULL), 0.25, 1e-12);
    r = label_one(&d, "y", NULL);
    cr_expect_str_eq(r->rationale, "As said.");
    meta = meta_of(r);
    cr_expect_str_eq(json_string_value(json_object_get(meta, "rationale_source")), "text");
    json_decref(meta);
    cr_expect_eq(number_of(r, "cached", NULL), 1);
    desk_free(&d);
}

/* A unit is never larger than the shard, and holds the same whatever was archived before. */
Test(label_samples, a_fixed_unit_asks_the_same_whatever_is_done)
{
    script_call calls[2][8];
    size_t n_calls[2];
    for (int archived = 0; archived < 2; archived++) {
        desk d = desk_with(3);
        d.script->ops.flags |= BACKEND_FIXED_UNIT;
        for (uint32_t i = 0; i < 6; i++) {
            scripted_backend_say(d.script, "a", i, i == 1 ? "no idea" : "B. Answer: no");
            scripted_backend_say(d.script, "b", i, "B. Answer: yes");
        }
        shard_example e[] = {example_of("a"), example_of("b")};
        e[0].done = archived == 1;
        cr_assert_eq(desk_label(&d, e, 2), RT_OK);
        cr_expect_str_eq(d.records[1].label, "yes");
        n_calls[archived] = d.script->n_calls;
        cr_assert_leq(n_calls[archived], 8);
        memcpy(calls[archived], d.script->calls, sizeof calls[archived]);
        desk_free(&d);
    }
    cr_assert_eq(n_calls[0], n_calls[1]);
    cr_expect_eq(n_calls[0], 4, "six requests by two, then one again");
    for (size_t k = 0; k < n_calls[0]; k++) {
        cr_assert_leq(calls[0][k].n, 2);
        cr_assert_eq(calls[0][k].n, calls[1][k].n);
        for (size_t i = 0; i < calls[0][k].n; i++) {
            cr_expect_str_eq(calls[0][k].inputs[i], calls[1][k].inputs[i]);
            cr_expect_eq(calls[0][k].samples[i], calls[1][k].samples[i]);
        }
    }
}

Test(label_samples, equal_values_are_one_label_and_clusters_go_further)
{
    static const char *const texts[] = {"Half of it. Answer: (84 / 2)", "More. Answer: 84 * 2",
                                        "A sum. Answer: 40 + 2"};
    desk d = desk_with(3);
    d.labeller.rules.kind = RULE_EQUATION;
    say_all(&d, "x", texts, 3);
    const label_record *r = label_one(&d, "x", NULL);
    cr_expect_eq(number_of(r, "votes", "(84 / 2)"), 2, "%s", r->meta);
    cr_expect_eq(number_of(r, "votes", "84 * 2"), 1);
    desk_free(&d);

    static const char *const words[] = {"So. Answer: The Tower", "So. Answer: Bridge",
                                        "So. Answer: the tower!"};
    d = desk_with(3);
    d.labeller.rules.kind = RULE_TEXT;
    d.labeller.policy.vote.rule = VOTE_CLUSTER;
    d.labeller.policy.vote.size_weight = 1;
    say_all(&d, "x", words, 3);
    r = label_one(&d, "x", NULL);
    cr_expect_eq(number_of(r, "votes", "The Tower"), 2, "%s", r->meta);
    cr_expect_str_eq(r->label, "The Tower");
    desk_free(&d);
}

Test(label_samples, meta_has_what_near_duplicates_are_found_by_only_where_they_are_looked_for)
{
    static const char *const texts[] = {
        "It is blue all day. Answer: yes", "it is BLUE, all day! Answer: yes",
        "It is blue all day. Answer: no", "Nothing else would look like that. Answer: yes"};
    desk d = desk_with(4);
    say_all(&d, "sky", texts, 4);
    const label_record *r = label_one(&d, "sky", NULL);
    cr_expect_null(strstr(r->meta, "sim_hash"));
    d.labeller.policy.note = RATIONALE_NEAR_DUPLICATE;
    r = label_one(&d, "sky", NULL);
    cr_expect_eq(number_of(r, "distinct", NULL), 2, "two ways to yes: %s", r->meta);
    json_t *meta = meta_of(r);
    cr_expect_eq(strlen(json_string_value(json_object_get(meta, "sim_hash"))), 16);
    json_decref(meta);
    d.labeller.policy.reject = RATIONALE_NEAR_DUPLICATE;
    r = label_one(&d, "sky", NULL);
    cr_expect_str_eq(r->label, "yes", "one row alone is no duplicate");
    desk_free(&d);
}

Test(label_samples, texts_of_another_label_or_of_none_are_kept_once_where_that_is_asked_for)
{
    static const char *const texts[] = {
        "A good reason for no. Answer: no",     "A reason of some words. Answer: yes",
        "Another reason of words. Answer: yes", "no idea",
        "A third reason for it. Answer: yes",   "A good reason for no. Answer: no",
    };
    for (int keeps = 0; keeps < 2; keeps++) {
        desk d = desk_with(5);
        d.labeller.policy.keeps_others = keeps == 1;
        say_all(&d, "sky", texts, 6);
        const label_record *r = label_one(&d, "sky", NULL);
        cr_assert_str_eq(r->label, "yes");
        json_t *meta = meta_of(r), *others = json_object_get(meta, "others");
        if (keeps == 0) {
            cr_expect_null(others);
        } else {
            json_t *no = json_array_get(others, 0), *none = json_array_get(others, 1);
            cr_expect_eq(json_array_size(others), 2, "the same text counts once");
            cr_expect_str_eq(json_string_value(json_object_get(no, "label")), "no");
            cr_expect_str_eq(json_string_value(json_object_get(no, "rationale")),
                             "A good reason for no.");
            cr_expect_str_eq(json_string_value(json_object_get(none, "text")), "no idea");
        }
        json_decref(meta);
        desk_free(&d);
    }
}
