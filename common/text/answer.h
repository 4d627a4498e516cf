/* From a language model's raw text to a rationale and a label: the parse machine.
 *
 *     "They had 84. Each got 84 / 2. The answer is (84 / 2).\n\nQ: There are ..."
 *      \____________ rationale _____/ \__ marker _/ label     \_ stop mark: run-on, cut
 *
 * A deterministic procedure (reference: Hsieh et al. 2023's released parsers, with the defects
 * listed in docs/parsing.md repaired): cut at the first stop mark; find the last marker; what is
 * before it is the rationale, what follows is the label; bring the label to canonical form.
 */
#ifndef RT_TEXT_ANSWER_H
#define RT_TEXT_ANSWER_H

#include "common/base/bytes.h"

typedef enum answer_rule_kind {
    RULE_CHOICE,
    RULE_NUMBER,
    RULE_EQUATION,
    RULE_TEXT,
    RULE_CLASS,
} answer_rule_kind;

/* Borrows everything. */
typedef struct answer_rules {
    answer_rule_kind kind;
    const char *const *markers;
    size_t n_markers;
    const char *const *stop_marks;
    size_t n_stop_marks;
    const char *const *classes; /* RULE_CLASS */
    size_t n_classes;
    /* answer_parse() refuses by default what the reference parser scores as wrong, so that a
     * teacher's accuracy can be held against published figures: a choice in other letter case, and
     * an equation that goes on outside its parentheses. True: read these too. docs/parsing.md has
     * the figures of both. */
    bool lenient;
} answer_rules;

/* Reason codes: stable names, used in rejected.jsonl, stats and docs/parsing.md. */
#define PARSE_STATUS_LIST(X)                                                                     \
    X(PARSE_OK, "ok")                                                                            \
    X(PARSE_EMPTY, "empty")             /* no text at all */                                     \
    X(PARSE_NO_MARKER, "no_marker")     /* no answer marker before the text ended */             \
    X(PARSE_TRUNCATED, "truncated")     /* cut off before a complete label */                    \
    X(PARSE_EMPTY_LABEL, "empty_label") /* marker with nothing behind it */                      \
    X(PARSE_BAD_LABEL, "bad_label")     /* not a number, not in the set of choices or classes */ \
    X(PARSE_BAD_EQUATION, "bad_equation")

typedef enum parse_status {
#define X(code, name) code,
    PARSE_STATUS_LIST(X)
#undef X
} parse_status;
const char *parse_status_name(parse_status status);

enum {
    PARSE_FLAG_RUN_ON = 1,          /* text behind a stop mark was cut */
    PARSE_FLAG_MULTI_MARKER = 2,    /* more than one marker; the last counted */
    PARSE_FLAG_NO_RATIONALE = 4,    /* label good, nothing before the marker */
    PARSE_FLAG_LETTER_MISMATCH = 8, /* choice letter and text disagree; the text won */
};

typedef struct parsed_answer {
    parse_status status;
    unsigned flags;
    char *label;     /* canonical; NULL unless PARSE_OK */
    char *rationale; /* trimmed; NULL when there is none; kept even when the label failed */
} parsed_answer;
void parsed_answer_free(parsed_answer *answer);

/* Parse raw[0..n). `input` is the example (RULE_CHOICE reads its choices from lines "(a) text";
 * NULL: none). `truncated` says that the model stopped for length; a label that is visibly cut is
 * found without it. With no markers configured the whole text is the label. Invalid UTF-8 is
 * repaired. Fails only for RT_NOMEM: whatever the text, the outcome is a status. */
RT_MUST_USE rt_status answer_parse(const answer_rules *rules, const char *input, const char *raw,
                                   size_t n, bool truncated, parsed_answer *out, rt_error *err);

/* Bring a bare label (no marker), such as a gold answer or a student's label, to canonical form:
 * the choice or class as it is written in the task, a number without commas and units, an equation
 * with single spaces, trimmed text. Reads as if `lenient`. PARSE_OK and *out (freed with free()),
 * or why not and *out NULL. */
RT_MUST_USE rt_status answer_canonical(const answer_rules *rules, const char *input,
                                       const char *label, parse_status *status, char **out,
                                       rt_error *err);

/* How many labels there can be: classes, or choices of this input. 0: not limited. */
size_t answer_n_labels(const answer_rules *rules, const char *input);

/* Whether two labels mean the same: by value for numbers and equations, else as trimmed text,
 * letter case ignored for choices and classes. */
bool answer_equal(const answer_rules *rules, const char *a, const char *b);

#endif
