#include "cli/doctor/text_lengths.h"

#include <inttypes.h>

#include "common/text/token_estimate.h"

void text_lengths_take(text_lengths *l, uint64_t n_tokens, uint64_t limit)
{
    if (l->n++ == 0) l->first = n_tokens;
    l->longest = RT_MAX(l->longest, n_tokens);
    l->sum += n_tokens;
    l->n_too_long += limit > 0 && n_tokens > limit;
}

rt_status text_lengths_add(text_lengths *l, const tokenizer *t, const char *text, size_t n,
                           uint64_t n_more, uint64_t limit, rt_error *err)
{
    id_list ids = {0};
    uint64_t n_tokens = 0;
    if (t != NULL) {
        rt_status st = tokenizer_encode(t, text, n, &ids, err);
        n_tokens = ids.n;
        id_list_free(&ids);
        if (st != RT_OK) return st;
    } else {
        n_tokens = token_estimate(text, n);
        l->is_estimate = true;
    }
    text_lengths_take(l, n_tokens + n_more, limit);
    return RT_OK;
}

static const char *about(const text_lengths *l)
{
    return l->is_estimate ? "about " : "";
}

finding prompt_verdict(const text_lengths *l, uint64_t limit, const char *whose)
{
    finding f;
    if (limit == 0)
        return finding_ok("renders; the first has %s%" PRIu64 " tokens, the longest of %zu rows "
                          "%" PRIu64 "; no limit is known",
                          about(l), l->first, l->n, l->longest);
    if (l->n_too_long == 0)
        f = finding_ok("renders; the first has %s%" PRIu64 " tokens, the longest of %zu rows "
                       "%" PRIu64 " of %" PRIu64,
                       about(l), l->first, l->n, l->longest, limit);
    else if (l->n_too_long == l->n && !l->is_estimate)
        f = finding_fail(RT_INVALID,
                         "no prompt of %zu rows fits: the first has %" PRIu64 " tokens, %" PRIu64
                         " are allowed",
                         l->n, l->first, limit);
    else
        f = finding_warn("%zu prompts of %zu rows are too long: the longest has %s%" PRIu64
                         " tokens, %" PRIu64 " are allowed",
                         l->n_too_long, l->n, about(l), l->longest, limit);
    finding_expect(&f, "at most %" PRIu64 " tokens (%s)", limit, whose);
    finding_fix(&f,
                "fewer or shorter worked examples, a smaller teacher.max_new_tokens, or a model "
                "that takes more");
    return f;
}

finding student_length_verdict(const text_lengths *l, uint64_t limit)
{
    finding f;
    if (l->n_too_long == 0)
        f = finding_ok("the longest input of %zu rows has %s%" PRIu64 " of %" PRIu64 " tokens",
                       l->n, about(l), l->longest, limit);
    else if (l->n_too_long == l->n && !l->is_estimate)
        f = finding_fail(RT_INVALID,
                         "no input of %zu rows leaves room for an answer: the first has "
                         "%" PRIu64 " of %" PRIu64 " tokens",
                         l->n, l->first, limit);
    else
        f = finding_warn("%zu inputs of %zu rows leave no room for an answer: the longest has "
                         "%s%" PRIu64 " of %" PRIu64 " tokens",
                         l->n_too_long, l->n, about(l), l->longest, limit);
    finding_expect(&f,
                   "input and answer within student.seq_len_max (%" PRIu64 "); longer ones are "
                   "not trained on",
                   limit);
    finding_fix(&f, "a larger student.seq_len_max and train.micro_batch_tokens");
    return f;
}
