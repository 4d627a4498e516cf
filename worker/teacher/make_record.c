#include "worker/teacher/make_record.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"
#include "worker/teacher/kept_samples.h"

static json_t *parse_flags_json(unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {PARSE_FLAG_RUN_ON, "run_on"},
        {PARSE_FLAG_MULTI_MARKER, "multi_marker"},
        {PARSE_FLAG_NO_RATIONALE, "no_rationale"},
        {PARSE_FLAG_LETTER_MISMATCH, "letter_mismatch"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if ((flags & names[i].flag) != 0) json_array_append_new(list, json_string(names[i].name));
    return list;
}

static json_t *filters_json(unsigned flags)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < RATIONALE_FLAGS; i++)
        if ((flags & 1u << i) != 0)
            json_array_append_new(list, json_string(rationale_flag_name(1u << i)));
    return list;
}

static void add_count(json_t *into, const char *name, uint64_t n)
{
    if (n > 0) json_object_set_new(into, name, json_integer((json_int_t)n));
}

static void add_tokens(json_t *meta, const label_usage *usage)
{
    json_t *tokens = json_pack("{s:I, s:I}", "prompt", (json_int_t)usage->n_prompt_tokens,
                               "completion", (json_int_t)usage->n_completion_tokens);
    add_count(tokens, "cached", usage->n_cached_tokens);
    add_count(tokens, "reasoning", usage->n_reasoning_tokens);
    json_object_set_new(meta, "tokens", tokens);
}

static void add_price(json_t *meta, const label_usage *usage)
{
    if (usage->cost > 0) json_object_set_new(meta, "cost", json_real(usage->cost));
    add_count(meta, "cached", usage->n_cached);
}

static void add_generation(json_t *meta, const teacher_outcome *o)
{
    const backend_sampling *sampling = &o->item->sampling;
    if (!backend_can(o->labeller->backend, BACKEND_CAN_GENERATE)) return;
    json_object_set_new(meta, "prompt_hash",
                        json_string(prompt_profile_hash(o->labeller->prompts)));
    json_object_set_new(meta, "sampling",
                        json_pack("{s:f, s:I, s:f, s:I}", "temperature", sampling->temperature,
                                  "top_k", (json_int_t)sampling->top_k, "top_p", sampling->top_p,
                                  "seed", (json_int_t)sampling->seed));
    add_tokens(meta, &o->item->usage);
}

/* Labels in the order in which they were first given. */
static void add_votes(json_t *meta, const answer_votes *votes)
{
    const vote_result *r = &votes->result;
    json_t *counts = json_object();
    json_int_t n_samples = (json_int_t)r->n_known + (json_int_t)r->n_unknown;
    for (size_t g = 0; g < votes->n_groups; g++)
        json_object_set_new(counts, votes->labels[g],
                            json_integer((json_int_t)votes->tallies[g].n));
    json_object_set_new(meta, "samples", json_integer(n_samples));
    add_count(meta, "unknown", r->n_unknown);
    json_object_set_new(meta, "votes", counts);
    if (r->winner == VOTE_NONE) return;
    const vote_tally *winner = &votes->tallies[r->winner];
    json_object_set_new(meta, "confidence", json_real(r->confidence));
    json_object_set_new(meta, "margin", json_real(r->margin));
    json_object_set_new(meta, "entropy", json_real(r->entropy));
    json_object_set_new(meta, "probability", json_real(winner->probability));
    if (r->has_logprobs)
        json_object_set_new(meta, "weighted_confidence", json_real(winner->weighted_share));
}

/* What near duplicates are found by, and how many ways the texts gave to one label. */
static void add_likeness(json_t *meta, const chosen_answer *c, bool votes)
{
    char hex[17];
    if (c->sample->verdict.n_words <= 0) return;
    snprintf(hex, sizeof hex, "%016" PRIx64, c->sample->verdict.sim_hash);
    json_object_set_new(meta, "sim_hash", json_string(hex));
    if (votes && c->label != NULL)
        json_object_set_new(meta, "distinct", json_integer((json_int_t)c->n_distinct));
}

static void add_quality(json_t *meta, const teacher_outcome *o)
{
    const answer_policy *policy = &o->labeller->policy;
    const sample *s = o->chosen->sample;
    if (s != NULL && s->reasoning != NULL) {
        const char *source = s->parsed.rationale != NULL          ? "text"
                             : s->answer.rationale_source != NULL ? s->answer.rationale_source
                                                                  : "reasoning";
        json_object_set_new(meta, "rationale_source", json_string(source));
    }
    if (answer_policy_votes(policy)) add_votes(meta, &o->chosen->votes);
    if (s != NULL && s->has_usefulness)
        json_object_set_new(meta, "usefulness", json_real(s->usefulness));
    if (s != NULL && (answer_policy_noted(policy) & RATIONALE_NEAR_DUPLICATE) != 0)
        add_likeness(meta, o->chosen, answer_policy_votes(policy));
    if (s != NULL && answer_policy_noted(policy) != 0)
        json_object_set_new(meta, "filters",
                            filters_json(s->verdict.flags & answer_policy_noted(policy)));
}

/* What the true answer was used for. */
static void add_gold(json_t *meta, const chosen_answer *c)
{
    if (c->gold_by == NULL && c->given_failed == NULL) return;
    json_t *gold = json_object();
    if (c->gold_by != NULL) json_object_set_new(gold, "by", json_string(c->gold_by));
    if (c->gold_by != NULL && c->said != NULL)
        json_object_set_new(gold, "said", json_string(c->said));
    if (c->gold_by != NULL && c->said_reason != NULL)
        json_object_set_new(gold, "reason", json_string(c->said_reason));
    if (c->given_failed != NULL) json_object_set_new(gold, "failed", json_string(c->given_failed));
    json_object_set_new(meta, "gold", gold);
}

static json_t *meta_of(const teacher_outcome *o)
{
    static const sample none;
    const sample *s = o->chosen->sample != NULL ? o->chosen->sample : &none;
    json_t *meta = json_pack("{s:s, s:s, s:I, s:o}", "teacher", o->labeller->name, "backend",
                             backend_name(o->labeller->backend), "attempts",
                             (json_int_t)o->item->n_samples + o->item->has_given, "parse",
                             parse_flags_json(s->parsed.flags));
    if (meta == NULL) return NULL;
    if (s->answer.finish_reason != NULL)
        json_object_set_new(meta, "finish_reason", json_string(s->answer.finish_reason));
    add_generation(meta, o);
    if (s->answer.has_logprob)
        json_object_set_new(meta, "logprob", json_real(s->answer.sum_logprob));
    add_price(meta, &o->item->usage);
    add_quality(meta, o);
    add_gold(meta, o->chosen);
    return meta;
}

/* What the other of two teachers said, and what it cost. */
static json_t *escalated_json(const teacher_outcome *other, const char *role)
{
    const chosen_answer *c = other->chosen;
    json_t *note = json_pack("{s:s}", role, other->labeller->name);
    if (note == NULL) return NULL;
    json_object_set_new(note, "reason",
                        json_string(c->reason != NULL ? c->reason : REASON_LOW_CONFIDENCE));
    if (c->label != NULL) json_object_set_new(note, "label", json_string(c->label));
    if (c->votes.result.n_known > 0 && answer_policy_votes(&other->labeller->policy))
        json_object_set_new(note, "confidence", json_real(c->votes.result.confidence));
    if (backend_can(other->labeller->backend, BACKEND_CAN_GENERATE))
        add_tokens(note, &other->item->usage);
    add_price(note, &other->item->usage);
    return note;
}

static void add_others(json_t *meta, const teacher_outcome *o, const teacher_outcome *other)
{
    bool keeps =
        o->labeller->policy.keeps_others || (other != NULL && other->labeller->policy.keeps_others);
    if (meta == NULL || !keeps) return;
    json_t *others = kept_samples_json(o, other);
    if (json_array_size(others) > 0) json_object_set(meta, "others", others);
    json_decref(others);
}

static rt_status dump_meta(const teacher_outcome *o, const teacher_outcome *other, const char *role,
                           char **out, rt_error *err)
{
    rt_status st = RT_OK;
    json_t *meta = meta_of(o);
    char *text = NULL;
    if (meta != NULL && other != NULL)
        json_object_set_new(meta, "escalated", escalated_json(other, role));
    add_others(meta, o, other);
    if (meta != NULL) text = json_dumps(meta, JSON_COMPACT | JSON_REAL_PRECISION(12));
    if (text == NULL)
        st = rt_fail(err, RT_NOMEM, "meta of a record");
    else
        *out = text;
    json_decref(meta);
    return st;
}

static bool copy_if_any(const char *text, char **out)
{
    if (text == NULL || text[0] == '\0') return true;
    *out = strdup(text);
    return *out != NULL;
}

/* Raw text of a rejected record: its own, or the last there was; the thought of one that never came
 * to its answer. */
static bool copy_raw(const teacher_outcome *o, char **out)
{
    const char *text = "";
    const sample *s = o->chosen->sample;
    if (s != NULL && s->text.data != NULL) text = s->text.data;
    if (s != NULL && s->reasoning != NULL && text[strspn(text, " \t\r\n")] == '\0')
        text = s->reasoning;
    size_t n = utf8_valid_prefix(text, RT_MIN(strlen(text), RAW_BYTES_MAX));
    *out = rt_strndup(text, n);
    return *out != NULL;
}

static bool fill_texts(const teacher_outcome *o, label_record *r)
{
    const shard_example *e = o->item->example;
    const chosen_answer *c = o->chosen;
    bool ok = copy_if_any(e->source_id, &r->source_id);
    ok = ok && (r->input = strdup(e->input)) != NULL;
    ok = ok && (e->gold == NULL || (r->gold = strdup(e->gold)) != NULL);
    ok = ok && copy_if_any(c->rationale, &r->rationale);
    if (c->label != NULL)
        return ok && copy_if_any(c->sample->topk, &r->topk) &&
               (r->label = strdup(c->label)) != NULL;
    ok = ok && (r->reason = strdup(c->reason != NULL ? c->reason : "not_asked")) != NULL;
    return ok && copy_raw(o, &r->raw);
}

/* Whether the second teacher's outcome counts. */
static bool second_counts(const teacher_outcome *first, const teacher_outcome *second)
{
    if (second->chosen->label != NULL) return true;
    if (first->chosen->label != NULL) return false;
    /* Neither has a label: the reason of one that wrote something says more. */
    const sample *s = second->chosen->sample;
    return s != NULL && s->answer.reason == NULL;
}

rt_status make_record(const teacher_outcome *first, const teacher_outcome *second,
                      label_record *out, rt_error *err)
{
    rt_status st = RT_OK;
    bool takes_second = second != NULL && second_counts(first, second);
    const teacher_outcome *o = takes_second ? second : first;
    const teacher_outcome *other = takes_second ? first : second;
    label_record r = {.id = o->item->example->id};
    if (!fill_texts(o, &r)) {
        st = rt_fail(err, RT_NOMEM, "record of a label");
        goto out;
    }
    st = dump_meta(o, other, takes_second ? "from" : "to", &r.meta, err);
    if (st != RT_OK) goto out;
    *out = r;
    memset(&r, 0, sizeof r);
out:
    label_record_free(&r);
    return st;
}
