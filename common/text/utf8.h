/* UTF-8: checked at the border, so the inside may rely on it. */
#ifndef RT_TEXT_UTF8_H
#define RT_TEXT_UTF8_H

#include "common/base/bytes.h"

/* Length of the longest valid prefix; equal to n when all is valid. No surrogates, no overlong. */
size_t utf8_valid_prefix(const char *text, size_t n);
bool utf8_is_valid(const char *text, size_t n);
/* Copy with every invalid byte replaced by U+FFFD. */
RT_MUST_USE rt_status utf8_repair(const char *text, size_t n, rt_buf *out, rt_error *err);
/* The code point at text[*i], *i moved behind it; an invalid byte is U+FFFD. *i must be below n. */
uint32_t utf8_next(const char *text, size_t n, size_t *i);
/* Code points from first to last; whether one is in any of them. */
typedef struct utf8_range {
    uint32_t first, last;
} utf8_range;
bool utf8_code_is_in(uint32_t code, const utf8_range *ranges, size_t n);
/* Columns on a terminal (wide East Asian characters count two). */
size_t utf8_columns(const char *text, size_t n);

#endif
