#include "cli/audit_quality.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/dataset/topk.h"

#define OTHER "other"

static void names_free(audit_names *names)
{
    for (size_t i = 0; i < names->n; i++) free(names->items[i].name);
    free(names->items);
    memset(names, 0, sizeof *names);
}

void audit_quality_free(audit_quality *q)
{
    names_free(&q->reasons);
    names_free(&q->filters);
    names_free(&q->parse_flags);
    for (size_t i = 0; i < q->n_teachers; i++) free(q->teachers[i].name);
    free(q->teachers);
    memset(q, 0, sizeof *q);
}

static rt_status count_name(audit_names *names, const char *name, rt_error *err)
{
    size_t i = 0;
    if (names->n + 1 >= AUDIT_NAMES_MAX) {
        while (i < names->n && strcmp(names->items[i].name, name) != 0) i++;
        if (i == names->n) name = OTHER;
    }
    for (i = 0; i < names->n; i++)
        if (strcmp(names->items[i].name, name) == 0) break;
    if (i == names->n) {
        audit_name *bigger = realloc(names->items, (names->n + 1) * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "audit of %s", name);
        names->items = bigger;
        names->items[i] = (audit_name){.name = strdup(name)};
        if (names->items[i].name == NULL) return rt_fail(err, RT_NOMEM, "audit of %s", name);
        names->n++;
    }
    names->items[i].n++;
    return RT_OK;
}

/* The teacher of that name; NULL when out of memory. */
static audit_teacher *teacher_named(audit_quality *q, const char *name)
{
    for (size_t i = 0; i < q->n_teachers; i++)
        if (strcmp(q->teachers[i].name, name) == 0) return &q->teachers[i];
    if (q->n_teachers + 1 >= AUDIT_NAMES_MAX && strcmp(name, OTHER) != 0)
        return teacher_named(q, OTHER);
    audit_teacher *bigger = realloc(q->teachers, (q->n_teachers + 1) * sizeof *bigger);
    if (bigger == NULL) return NULL;
    q->teachers = bigger;
    q->teachers[q->n_teachers] = (audit_teacher){.name = strdup(name)};
    return q->teachers[q->n_teachers].name == NULL ? NULL : &q->teachers[q->n_teachers++];
}

static uint64_t count_of(const json_t *from, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(from, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* A number that a sum can bear. */
static double number_of(const json_t *from, const char *key)
{
    double x = json_number_value(json_object_get(from, key));
    return isfinite(x) ? x : 0;
}

static void add_usage(audit_teacher *t, const json_t *from)
{
    const json_t *tokens = json_object_get(from, "tokens");
    t->n_prompt_tokens += count_of(tokens, "prompt");
    t->n_cached_tokens += count_of(tokens, "cached");
    t->n_completion_tokens += count_of(tokens, "completion");
    t->n_reasoning_tokens += count_of(tokens, "reasoning");
    t->n_cached += count_of(from, "cached");
    t->cost += number_of(from, "cost");
}

static rt_status add_teachers(audit_quality *q, const json_t *meta, bool labelled, rt_error *err)
{
    const char *name = json_string_value(json_object_get(meta, "teacher"));
    const json_t *escalated = json_object_get(meta, "escalated");
    audit_teacher *t = teacher_named(q, name != NULL ? name : "unknown");
    if (t == NULL) return rt_fail(err, RT_NOMEM, "audit of teachers");
    t->n_labelled += labelled;
    t->n_rejected += !labelled;
    add_usage(t, meta);
    if (!json_is_object(escalated)) return RT_OK;
    q->n_escalated++;
    const char *other = json_string_value(json_object_get(escalated, "from"));
    if (other == NULL) other = json_string_value(json_object_get(escalated, "to"));
    if ((t = teacher_named(q, other != NULL ? other : "unknown")) == NULL)
        return rt_fail(err, RT_NOMEM, "audit of teachers");
    add_usage(t, escalated);
    return RT_OK;
}

static rt_status count_list(audit_names *names, const json_t *list, rt_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        rt_status st = name == NULL ? RT_OK : count_name(names, name, err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static void add_gold(audit_quality *q, const json_t *gold)
{
    const char *by = json_string_value(json_object_get(gold, "by"));
    q->n_given_failed += json_is_string(json_object_get(gold, "failed"));
    q->n_label_given += by != NULL && strcmp(by, "label_given") == 0;
    q->n_gold_text += by != NULL && strcmp(by, "text") == 0;
}

static rt_status add_meta(audit_quality *q, const json_t *meta, bool labelled, rt_error *err)
{
    rt_status st;
    if ((st = count_list(&q->filters, json_object_get(meta, "filters"), err)) != RT_OK) return st;
    if ((st = count_list(&q->parse_flags, json_object_get(meta, "parse"), err)) != RT_OK) return st;
    if (labelled && json_is_number(json_object_get(meta, "confidence"))) {
        q->n_votes++;
        q->sum_confidence += number_of(meta, "confidence");
        q->sum_margin += number_of(meta, "margin");
    }
    if (labelled && json_is_number(json_object_get(meta, "usefulness"))) {
        q->n_useful++;
        q->sum_usefulness += number_of(meta, "usefulness");
    }
    add_gold(q, json_object_get(meta, "gold"));
    return add_teachers(q, meta, labelled, err);
}

static rt_status add_topk(audit_quality *q, const char *text, rt_error *err)
{
    topk_reader r = {0};
    topk_place place;
    rt_error why = {0};
    rt_status st = topk_open(text, strlen(text), &r, &why);
    if (st == RT_CORRUPT) {
        q->n_topk_damaged++;
        return RT_OK;
    }
    if (st != RT_OK) return rt_fail(err, st, "%s", why.text);
    q->n_topk++;
    while (topk_next(&r, &place) == RT_OK) {
        q->n_topk_tokens++;
        q->sum_tail += exp(place.log_tail);
    }
    topk_close(&r);
    return RT_OK;
}

rt_status audit_quality_add(audit_quality *q, const label_record *r, rt_error *err)
{
    rt_status st = RT_OK;
    q->n_records++;
    if (r->label == NULL && r->reason != NULL) st = count_name(&q->reasons, r->reason, err);
    if (st == RT_OK && r->topk != NULL) st = add_topk(q, r->topk, err);
    if (st != RT_OK || r->meta == NULL) return st;
    json_t *meta = json_loads(r->meta, 0, NULL);
    if (json_is_object(meta)) st = add_meta(q, meta, r->label != NULL, err);
    json_decref(meta);
    return st;
}

static bool uses_gold(const audit_quality *q)
{
    return q->n_gold_text + q->n_label_given + q->n_given_failed > 0;
}

static json_t *names_json(const audit_names *names)
{
    json_t *out = json_object();
    for (size_t i = 0; i < names->n; i++)
        json_object_set_new(out, names->items[i].name, json_integer((json_int_t)names->items[i].n));
    return out;
}

static json_t *usage_json(const audit_teacher *t)
{
    return json_pack("{s:{s:I, s:I, s:I, s:I}, s:f, s:I}", "tokens", "prompt",
                     (json_int_t)t->n_prompt_tokens, "cached", (json_int_t)t->n_cached_tokens,
                     "completion", (json_int_t)t->n_completion_tokens, "reasoning",
                     (json_int_t)t->n_reasoning_tokens, "cost", t->cost, "cached_texts",
                     (json_int_t)t->n_cached);
}

static audit_teacher total_of(const audit_quality *q)
{
    audit_teacher sum = {0};
    for (size_t i = 0; i < q->n_teachers; i++) {
        const audit_teacher *t = &q->teachers[i];
        sum.n_prompt_tokens += t->n_prompt_tokens;
        sum.n_cached_tokens += t->n_cached_tokens;
        sum.n_completion_tokens += t->n_completion_tokens;
        sum.n_reasoning_tokens += t->n_reasoning_tokens;
        sum.n_cached += t->n_cached;
        sum.cost += t->cost;
    }
    return sum;
}

static double mean_tail(const audit_quality *q)
{
    return q->n_topk_tokens == 0 ? 0 : q->sum_tail / (double)q->n_topk_tokens;
}

json_t *audit_quality_json(const audit_quality *q)
{
    audit_teacher sum = total_of(q);
    json_t *root = usage_json(&sum), *teachers = json_object();
    double n_votes = (double)RT_MAX(q->n_votes, 1);
    json_object_set_new(root, "reasons", names_json(&q->reasons));
    json_object_set_new(root, "filters", names_json(&q->filters));
    json_object_set_new(root, "parse", names_json(&q->parse_flags));
    json_object_set_new(root, "votes", json_integer((json_int_t)q->n_votes));
    if (q->n_votes > 0) {
        json_object_set_new(root, "confidence", json_real(q->sum_confidence / n_votes));
        json_object_set_new(root, "margin", json_real(q->sum_margin / n_votes));
    }
    if (q->n_topk + q->n_topk_damaged > 0)
        json_object_set_new(root, "topk",
                            json_pack("{s:I, s:I, s:I, s:f}", "records", (json_int_t)q->n_topk,
                                      "tokens", (json_int_t)q->n_topk_tokens, "damaged",
                                      (json_int_t)q->n_topk_damaged, "tail", mean_tail(q)));
    if (uses_gold(q))
        json_object_set_new(root, "gold",
                            json_pack("{s:I, s:I, s:I}", "text", (json_int_t)q->n_gold_text,
                                      "label_given", (json_int_t)q->n_label_given, "failed",
                                      (json_int_t)q->n_given_failed));
    if (q->n_useful > 0) {
        json_object_set_new(root, "scored", json_integer((json_int_t)q->n_useful));
        json_object_set_new(root, "usefulness", json_real(q->sum_usefulness / (double)q->n_useful));
    }
    json_object_set_new(root, "escalated", json_integer((json_int_t)q->n_escalated));
    json_object_set_new(root, "escalated_share",
                        json_real((double)q->n_escalated / (double)RT_MAX(q->n_records, 1)));
    for (size_t i = 0; i < q->n_teachers; i++) {
        const audit_teacher *t = &q->teachers[i];
        json_t *one = usage_json(t);
        json_object_set_new(one, "labelled", json_integer((json_int_t)t->n_labelled));
        json_object_set_new(one, "rejected", json_integer((json_int_t)t->n_rejected));
        json_object_set_new(teachers, t->name, one);
    }
    json_object_set_new(root, "teachers", teachers);
    return root;
}

static rt_status names_text(const audit_names *names, const char *title, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    if (names->n > 0) st = rt_buf_printf(out, err, "\n  %s\n", title);
    for (size_t i = 0; st == RT_OK && i < names->n; i++)
        st = rt_buf_printf(out, err, "    %-20.60s %12" PRIu64 "\n", names->items[i].name,
                           names->items[i].n);
    return st;
}

static rt_status teachers_text(const audit_quality *q, rt_buf *out, rt_error *err)
{
    if (q->n_teachers == 0) return RT_OK;
    rt_status st = rt_buf_printf(out, err, "\n  %-22s %10s %10s %13s %13s %12s\n", "teacher",
                                 "labelled", "rejected", "tokens in", "tokens out", "cost");
    for (size_t i = 0; st == RT_OK && i < q->n_teachers; i++) {
        const audit_teacher *t = &q->teachers[i];
        st = rt_buf_printf(out, err,
                           "    %-20.60s %10" PRIu64 " %10" PRIu64 " %13" PRIu64 " %13" PRIu64
                           " %12.4f\n",
                           t->name, t->n_labelled, t->n_rejected, t->n_prompt_tokens,
                           t->n_completion_tokens, t->cost);
    }
    return st;
}

rt_status audit_quality_text(const audit_quality *q, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    if ((st = names_text(&q->reasons, "rejected because", out, err)) != RT_OK) return st;
    if ((st = names_text(&q->filters, "filters tripped", out, err)) != RT_OK) return st;
    if (q->n_votes > 0)
        st = rt_buf_printf(out, err,
                           "\n  confidence   %12.4f  mean share of the winning label, of %" PRIu64
                           " votes\n",
                           q->sum_confidence / (double)q->n_votes, q->n_votes);
    if (st == RT_OK && q->n_useful > 0)
        st = rt_buf_printf(
            out, err,
            "%s  usefulness   %12.4f  nats that a rationale adds to its label, of %" PRIu64 "\n",
            q->n_votes > 0 ? "" : "\n", q->sum_usefulness / (double)q->n_useful, q->n_useful);
    if (st == RT_OK && q->n_escalated > 0)
        st = rt_buf_printf(out, err,
                           "%s  escalated    %12" PRIu64 "  %.1f %%, shown to a second teacher\n",
                           q->n_votes + q->n_useful > 0 ? "" : "\n", q->n_escalated,
                           100.0 * (double)q->n_escalated / (double)q->n_records);
    if (st == RT_OK && q->n_topk > 0)
        st =
            rt_buf_printf(out, err,
                          "\n  top tokens   %12" PRIu64 "  records have them; %.2f %% of a token's "
                          "probability is beside them\n",
                          q->n_topk, 100 * mean_tail(q));
    if (st == RT_OK && q->n_topk_damaged > 0)
        st = rt_buf_printf(out, err,
                           "  damaged      %12" PRIu64 "  records whose topk cannot be read\n",
                           q->n_topk_damaged);
    if (st == RT_OK && uses_gold(q))
        st = rt_buf_printf(
            out, err,
            "\n  true answers  %11" PRIu64 "  labels chosen by them among the texts\n"
            "  label given   %11" PRIu64 "  rationales asked for with the label; %" PRIu64
            " more were of no use\n",
            q->n_gold_text, q->n_label_given, q->n_given_failed);
    return st == RT_OK ? teachers_text(q, out, err) : st;
}
