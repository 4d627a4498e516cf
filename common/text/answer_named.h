/* Which label a reasoning itself ends with: a check of the label behind it.
 *
 *     if (answer_named_last(&rules, input, rationale, label) == NAMED_OTHER) ... contradicts ...
 *
 *     kind               what counts as named
 *     number, equation   the later of: the last expression with an operator, the number behind the
 *                        last "="; for a number without either, the last number
 *     choice             the last choice, by its letter "(c)" or its text; all of the last sentence
 *     class              the last class; all of the last sentence
 *     text               nothing
 *
 * "Only the theater is where actors and actresses perform" names two choices in one breath, so a
 * label that is among those of the last sentence is not contradicted. Words count between word ends, in either case of letters; of two names that end at the same place
 * the longer. Fuzzed: tests/fuzz/fuzz_rationale.c
 */
#ifndef RT_TEXT_ANSWER_NAMED_H
#define RT_TEXT_ANSWER_NAMED_H

#include "common/text/answer.h"

typedef enum named_label {
    NAMED_NONE,  /* the text names no label at its end */
    NAMED_SAME,  /* `label` */
    NAMED_OTHER, /* another, and not `label` */
} named_label;

/* `label` is canonical; `input` may be NULL where there are no choices. */
named_label answer_named_last(const answer_rules *rules, const char *input, const char *text,
                              const char *label);

#endif
