#include "common/text/rationale_filter.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/answer_named.h"
#include "common/text/sim_hash.h"
#include "common/text/text_units.h"

/* Runs of so many words are looked at for repetition. */
#define REPEAT_WORDS 4
/* Length that teaches best. */
#define FIT_WORDS_MIN 20.0
#define FIT_WORDS_MAX 30.0

/* Words that only introduce a label: a rationale of these and the label says nothing. */
static const char filler[] =
    "a an and answer be because choice correct for hence i is it its label must of option right so "
    "that the then therefore this thus to true was which \xE7\xAD\x94\xE3\x81\x88\xE3\x81\xAF"
    "\xE3\x81\xAA\xE3\x81\xAE\xE3\x81\xA7\xE3\x81\x99\xE3\x81\x8B\xE3\x82\x89\xE3\x81\xA0"
    "\xE3\x80\x81\xE6\x89\x80\xE4\xBB\xA5\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF";

static const struct {
    unsigned flag;
    const char *name;
} flags[] = {
#define X(code, value, name) {code, name},
    RATIONALE_FLAG_LIST(X)
#undef X
};
_Static_assert(RT_COUNT(flags) == RATIONALE_FLAGS, "count the flags");

const char *rationale_flag_name(unsigned flag)
{
    for (size_t i = 0; i < RT_COUNT(flags); i++)
        if (flags[i].flag == flag) return flags[i].name;
    return NULL;
}

unsigned rationale_flag_of(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(flags); i++)
        if (strcmp(flags[i].name, name) == 0) return flags[i].flag;
    return 0;
}

/* Label, markers and filler: what may be said without saying anything. */
static rt_status read_givens(const rationale_question *q, text_units *out, rt_error *err)
{
    rt_status st = text_units_of(filler, sizeof filler - 1, out, err);
    if (st == RT_OK) st = text_units_of(q->label, strlen(q->label), out, err);
    for (size_t i = 0; st == RT_OK && i < q->rules->n_markers; i++)
        st = text_units_of(q->rules->markers[i], strlen(q->rules->markers[i]), out, err);
    return st;
}

static rt_status measure(const rationale_question *q, const text_units *words,
                         rationale_verdict *out, rt_error *err)
{
    rt_status st = RT_OK;
    text_units input = {0}, givens = {0};
    size_t n_common = 0;
    if ((st = text_units_of(q->input, strlen(q->input), &input, err)) != RT_OK) goto out;
    if ((st = read_givens(q, &givens, err)) != RT_OK) goto out;
    if ((st = text_units_common_run(words, &input, &n_common, err)) != RT_OK) goto out;
    if ((st = text_units_share_in(words, &givens, &out->leaked, err)) != RT_OK) goto out;
    st = text_units_repeated(words, REPEAT_WORDS, &out->repeated, err);
    out->n_words = words->n_words;
    out->copied = words->n == 0 ? 0 : (double)n_common / (double)words->n;
out:
    text_units_free(&input);
    text_units_free(&givens);
    return st;
}

static double fit_of(double n_words)
{
    if (n_words < FIT_WORDS_MIN) return n_words / FIT_WORDS_MIN;
    return n_words <= FIT_WORDS_MAX ? 1 : FIT_WORDS_MAX / n_words;
}

static unsigned flags_of(const rationale_limits *limits, const rationale_question *q,
                         const char *rationale, const rationale_verdict *v)
{
    unsigned found = 0;
    if (v->n_words < limits->words_min) found |= RATIONALE_SHORT;
    if (limits->words_max > 0 && v->n_words > limits->words_max) found |= RATIONALE_LONG;
    if (v->copied > limits->copied_max) found |= RATIONALE_COPIES;
    if (v->leaked > limits->leaked_max) found |= RATIONALE_LEAKS;
    if (v->repeated > limits->repeated_max) found |= RATIONALE_REPEATS;
    if (answer_named_last(q->rules, q->input, rationale, q->label) == NAMED_OTHER)
        found |= RATIONALE_CONTRADICTS;
    return found;
}

/* A gold answer may be written otherwise than a canonical label. */
static rt_status is_wrong(const rationale_question *q, bool *out, rt_error *err)
{
    parse_status status = PARSE_EMPTY;
    char *gold = NULL;
    *out = false;
    if (q->gold == NULL) return RT_OK;
    rt_status st = answer_canonical(q->rules, q->input, q->gold, &status, &gold, err);
    if (st == RT_OK && gold != NULL) *out = !answer_equal(q->rules, q->label, gold);
    free(gold);
    return st;
}

rt_status rationale_judge(const rationale_limits *limits, const rationale_question *q,
                          const char *rationale, rationale_verdict *out, rt_error *err)
{
    rt_status st = RT_OK;
    text_units words = {0};
    rationale_verdict v = {0};
    bool wrong = false;
    if (rationale != NULL) st = text_units_of(rationale, strlen(rationale), &words, err);
    if (st != RT_OK) goto out;
    if (words.n == 0) {
        v.flags = RATIONALE_NONE;
    } else {
        if ((st = measure(q, &words, &v, err)) != RT_OK) goto out;
        v.flags = flags_of(limits, q, rationale, &v);
        if ((st = sim_hash(&words, &v.sim_hash, err)) != RT_OK) goto out;
        v.score = fit_of(v.n_words) * (1 - v.copied) * (1 - v.leaked) * (1 - v.repeated);
    }
    if ((st = is_wrong(q, &wrong, err)) != RT_OK) goto out;
    if (wrong) v.flags |= RATIONALE_WRONG;
    *out = v;
out:
    text_units_free(&words);
    return st;
}
