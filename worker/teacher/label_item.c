#include "worker/teacher/label_item.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"

static void sample_free(sample *s)
{
    rt_buf_free(&s->text);
    free(s->reasoning);
    free(s->topk);
    parsed_answer_free(&s->parsed);
    memset(s, 0, sizeof *s);
}

void label_item_free(label_item *it)
{
    for (size_t i = 0; i < it->n_samples; i++) sample_free(&it->samples[i]);
    if (it->has_given) sample_free(&it->given);
    free(it->samples);
    rt_buf_free(&it->prompt);
    memset(it, 0, sizeof *it);
}

/* One valid UTF-8 C string, '\0' bytes as blanks. */
static rt_status clean_text(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = utf8_repair(text, n, out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "", err);
    for (size_t i = 0; st == RT_OK && i < out->n; i++)
        if (out->data[i] == '\0') out->data[i] = ' ';
    return st;
}

/* Without white space around it; NULL when nothing is left. */
static rt_status take_reasoning(const char *text, char **out, rt_error *err)
{
    rt_buf clean = {0};
    rt_status st = clean_text(text, strlen(text), &clean, err);
    size_t begin = 0, end = clean.n;
    while (begin < end && isspace((unsigned char)clean.data[begin])) begin++;
    while (end > begin && isspace((unsigned char)clean.data[end - 1])) end--;
    if (st == RT_OK && end > begin) {
        *out = rt_strndup(clean.data + begin, end - begin);
        if (*out == NULL) st = rt_fail(err, RT_NOMEM, "reasoning of a text");
    }
    rt_buf_free(&clean);
    return st;
}

static rt_status judge(sample *s, const labeller *l, const shard_example *example, rt_error *err)
{
    s->usable = s->parsed.status == PARSE_OK;
    if (!s->usable || !answer_policy_judges(&l->policy)) return RT_OK;
    rationale_question q = {.rules = &l->rules,
                            .input = example->input,
                            .label = s->parsed.label,
                            .gold = example->gold};
    rt_status st = rationale_judge(&l->policy.limits, &q, s->rationale, &s->verdict, err);
    /* Whether the label is right is a matter of the vote, not of one text. */
    if ((s->verdict.flags & l->policy.reject & ~RATIONALE_WRONG) != 0) s->usable = false;
    return st;
}

static rt_status read_answer(sample *s, const labeller *l, const shard_example *example,
                             const backend_answer *answer, rt_error *err)
{
    rt_status st = RT_OK;
    s->answer = *answer;
    s->answer.text = s->answer.reasoning = s->answer.topk = NULL;
    if (answer->text != NULL) st = clean_text(answer->text, answer->n_text, &s->text, err);
    if (st == RT_OK && answer->reasoning != NULL)
        st = take_reasoning(answer->reasoning, &s->reasoning, err);
    if (st != RT_OK || answer->reason != NULL) return st;
    st = answer_parse(&l->rules, example->input, s->text.data, s->text.n, answer->truncated,
                      &s->parsed, err);
    if (st != RT_OK) return st;
    s->rationale = s->parsed.rationale != NULL ? s->parsed.rationale : s->reasoning;
    return judge(s, l, example, err);
}

static void add_usage(label_usage *usage, const backend_answer *answer)
{
    usage->n_prompt_tokens += answer->n_prompt_tokens;
    usage->n_cached_tokens += answer->n_cached_tokens;
    usage->n_completion_tokens += answer->n_completion_tokens;
    usage->n_reasoning_tokens += answer->n_reasoning_tokens;
    usage->n_cached += answer->cached;
    usage->cost += answer->cost;
}

rt_status label_item_take(label_item *it, const labeller *l, backend_answer *answer, rt_error *err)
{
    sample s = {0};
    if (it->n_samples == it->n_samples_max) {
        size_t n = RT_MAX(4, it->n_samples_max * 2);
        sample *bigger = realloc(it->samples, n * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "%zu texts of an example", n);
        it->samples = bigger;
        it->n_samples_max = n;
    }
    rt_status st = read_answer(&s, l, it->example, answer, err);
    if (st != RT_OK) {
        sample_free(&s);
        return st;
    }
    if (s.usable) {
        s.topk = answer->topk;
        answer->topk = NULL;
    }
    it->samples[it->n_samples++] = s;
    add_usage(&it->usage, answer);
    return RT_OK;
}

rt_status label_item_give(label_item *it, const labeller *l, backend_answer *answer, rt_error *err)
{
    sample s = {0};
    rt_status st = read_answer(&s, l, it->example, answer, err);
    if (st != RT_OK) {
        sample_free(&s);
        return st;
    }
    it->given = s;
    it->has_given = true;
    add_usage(&it->usage, answer);
    return RT_OK;
}

rt_status gold_label(const answer_rules *rules, const shard_example *example, char **out,
                     rt_error *err)
{
    parse_status status = PARSE_EMPTY;
    *out = NULL;
    if (example->gold == NULL) return RT_OK;
    return answer_canonical(rules, example->input, example->gold, &status, out, err);
}
