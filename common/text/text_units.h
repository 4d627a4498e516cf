/* Texts as sequences of words, so that two of them can be compared.
 *
 *     text_units a = {0};
 *     if ((st = text_units_of(text, strlen(text), &a, err)) != RT_OK) goto out;
 *     double share = text_units_repeated(&a, 4);
 *     text_units_free(&a);
 *
 * A unit is a word: letters and digits, in small letters, a point or comma between digits and an
 * apostrophe between letters included; everything else only separates. Scripts that are written
 * without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese) have one unit a character, and since
 * a word has about two ideographs or kana, or four letters of the others, `n_words` counts such a
 * unit as a half or a quarter.
 * Fuzzed: tests/fuzz/fuzz_rationale.c
 */
#ifndef RT_TEXT_TEXT_UNITS_H
#define RT_TEXT_TEXT_UNITS_H

#include "common/base/bytes.h"

/* Zero-initialise; text_units_free(). */
typedef struct text_units {
    uint64_t *hashes; /* of the units in order; equal units have equal hashes */
    size_t n, capacity;
    double n_words;
} text_units;

void text_units_free(text_units *units);
/* Append the units of a text; any bytes will do. */
RT_MUST_USE rt_status text_units_of(const char *text, size_t n, text_units *units, rt_error *err);
/* Append the units as text, a blank between two of them. */
RT_MUST_USE rt_status text_units_normalise(const char *text, size_t n, rt_buf *out, rt_error *err);

/* Length of the longest run of units that both have. O((n + m) log^2). */
RT_MUST_USE rt_status text_units_common_run(const text_units *a, const text_units *b, size_t *out,
                                            rt_error *err);
/* Hashes of the distinct runs of `length` units, sorted; NULL and 0 when there is none. Returns new;
 * free(). */
RT_MUST_USE rt_status text_units_distinct_runs(const text_units *a, size_t length, uint64_t **out,
                                               size_t *n_out, rt_error *err);
/* 1 - distinct runs of `length` units / all such runs; 0 when there is none. */
RT_MUST_USE rt_status text_units_repeated(const text_units *a, size_t length, double *out,
                                          rt_error *err);
/* Share of a's units that are also in b; 0 for an empty a. */
RT_MUST_USE rt_status text_units_share_in(const text_units *a, const text_units *b, double *out,
                                          rt_error *err);

#endif
