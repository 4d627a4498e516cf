/* The label half of the parse machine: a stretch of text to a canonical label. Internal. */
#ifndef RT_TEXT_ANSWER_LABEL_H
#define RT_TEXT_ANSWER_LABEL_H

#include "common/text/answer.h"

/* Borrowed text. */
typedef struct span {
    const char *p;
    size_t n;
} span;

span span_of(const char *text);
span span_trim(span s);
/* Trimmed, without one full stop at the end. */
span span_trim_stop(span s);
bool span_equal(span a, span b);
/* ASCII letters of either case are the same. */
bool span_equal_fold(span a, span b);
bool span_starts_fold(span s, span prefix);

typedef struct label_text {
    span text; /* what stands behind the marker */
    bool lenient;
    bool open_end;  /* the model's text ends here: nothing shows that the label is whole */
    bool truncated; /* ... and the model is known to have stopped for length */
} label_text;

typedef struct label_result {
    parse_status status;
    unsigned flags;
    char *label; /* new; NULL unless PARSE_OK */
} label_result;

/* Fails only for RT_NOMEM. */
RT_MUST_USE rt_status label_read(const answer_rules *rules, const char *input,
                                 const label_text *from, label_result *out, rt_error *err);

/* One reader per kind, in answer_number.c and answer_choice.c; all as label_read(). */
RT_MUST_USE rt_status label_read_number(const label_text *from, label_result *out, rt_error *err);
RT_MUST_USE rt_status label_read_equation(const label_text *from, label_result *out, rt_error *err);
RT_MUST_USE rt_status label_read_class(const answer_rules *rules, const label_text *from,
                                       label_result *out, rt_error *err);
RT_MUST_USE rt_status label_read_choice(const char *input, const label_text *from,
                                        label_result *out, rt_error *err);
/* Whether `word` stands at s[i], in either case of letters, between word ends. */
bool span_has_word_at(span s, size_t i, span word);

/* A choice listed in the input as a line "(a) text". */
#define CHOICES_MAX 26
typedef struct choice {
    char letter; /* lower case */
    span text;
} choice;
size_t choices_read(const char *input, choice choices[CHOICES_MAX]);

/* *out = PARSE_OK with a copy of `label`. */
RT_MUST_USE rt_status label_accept(span label, unsigned flags, label_result *out, rt_error *err);

/* Text up to the end of the first sentence: a stop, question or exclamation mark that is followed
 * by space or the end, or an ideographic full stop. The mark is left out. */
span span_sentence(span s);

#endif
