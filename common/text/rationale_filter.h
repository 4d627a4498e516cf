/* Is this reasoning worth learning from? Scores, and one named flag for each thing wrong with it.
 *
 *     rationale_question q = {.rules = &rules, .input = input, .label = label, .gold = gold};
 *     if ((st = rationale_judge(&limits, &q, rationale, &verdict, err)) != RT_OK) goto out;
 *     if (verdict.flags & RATIONALE_REPEATS) ...
 *
 *     n_words      words; unspaced scripts as in text_units.h
 *     copied       longest run of words that the input has too / words of the rationale
 *     leaked       share of its words that are the label, a marker, or words that only introduce one
 *     repeated     1 - distinct runs of four words / all
 *     fit          1 between 20 and 30 words; n_words / 20 below, 30 / n_words above
 *     score        fit * (1 - copied) * (1 - leaked) * (1 - repeated); 0 without a rationale
 *
 * Verdicts compare them with the limits; what to do about a flag is the caller's policy. Raising a
 * limit never adds a flag. Reasoning of some 20 to 30 words taught best, and formulaic long ones cost
 * accuracy, in a replication of Hsieh et al. 2023 (arXiv:2305.02301); docs/quality.md has the sources.
 * Pure. Checked by: tests/unit/text/test_rationale_filter.c; fuzzed: tests/fuzz/fuzz_rationale.c
 */
#ifndef RT_TEXT_RATIONALE_FILTER_H
#define RT_TEXT_RATIONALE_FILTER_H

#include "common/text/answer.h"

/* Flags and their stable names, which are reason codes, too. The order is that of the settings'
 * list of names (common/conf/settings.c); a test keeps both equal. */
#define RATIONALE_FLAG_LIST(X)                                                                   \
    X(RATIONALE_NONE, 1, "no_rationale")   /* nothing before the label */                        \
    X(RATIONALE_SHORT, 2, "too_short")     /* fewer words than words_min */                      \
    X(RATIONALE_LONG, 4, "too_long")       /* more words than words_max */                       \
    X(RATIONALE_COPIES, 8, "copies_input") /* copied > copied_max */                             \
    X(RATIONALE_LEAKS, 16, "leaks_label")  /* leaked > leaked_max: "it is X because X" */        \
    X(RATIONALE_REPEATS, 32, "repeats")    /* repeated > repeated_max */                         \
    X(RATIONALE_CONTRADICTS, 64,                                                                 \
      "contradicts_label")                 /* ends with another label; answer_named.h */         \
    X(RATIONALE_WRONG, 128, "wrong_label") /* the label is not the gold one */                   \
    /* Found elsewhere: beside the other rationales (rationale_survey.h), by a scoring model. */ \
    X(RATIONALE_NEAR_DUPLICATE, 256, "near_duplicate")                                           \
    X(RATIONALE_BOILERPLATE, 512, "boilerplate")                                                 \
    X(RATIONALE_USELESS, 1024, "not_useful")

enum {
#define X(code, value, name) code = (value),
    RATIONALE_FLAG_LIST(X)
#undef X
};
#define RATIONALE_FLAGS 11

/* Name of one flag, NULL for another number; and the flag of a name, 0 for an unknown one. */
const char *rationale_flag_name(unsigned flag);
unsigned rationale_flag_of(const char *name);

typedef struct rationale_limits {
    double words_min, words_max; /* 0: none */
    double copied_max, leaked_max, repeated_max;
} rationale_limits;

/* Borrows its texts. */
typedef struct rationale_question {
    const answer_rules *rules;
    const char *input;
    const char *label; /* canonical */
    const char *gold;  /* NULL: not known */
} rationale_question;

typedef struct rationale_verdict {
    unsigned flags;
    double n_words, copied, leaked, repeated, score;
    uint64_t sim_hash; /* sim_hash.h; 0 without words */
} rationale_verdict;

/* `rationale` NULL or blank: there is none. */
RT_MUST_USE rt_status rationale_judge(const rationale_limits *limits, const rationale_question *q,
                                      const char *rationale, rationale_verdict *out, rt_error *err);

#endif
