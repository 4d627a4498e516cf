/* A check at the end of a line of JSON: the 64-bit XXH3 of every byte before it.
 *
 *     {"kind":"step","step":12,"check":"<16 hex>"}
 *
 * JSON alone notices only damage to its punctuation; a flipped bit inside a number or a word would be
 * believed. A line without a check (written by hand or by another tool) is read without that
 * protection.
 */
#ifndef RT_BASE_LINE_CHECK_H
#define RT_BASE_LINE_CHECK_H

#include "common/base/bytes.h"

/* `line` holds, from `start` on, an object without its closing brace: adds check, brace, newline. */
RT_MUST_USE rt_status line_check_close(rt_buf *line, size_t start, rt_error *err);
/* RT_CORRUPT when the line, n bytes without its newline, does not fit its check. */
RT_MUST_USE rt_status line_check_verify(const char *text, size_t n, rt_error *err);
/* True when the line has a check and fits it; *n_checked: bytes that it covers, all but the closing of
 * the object. */
bool line_check_holds(const char *text, size_t n, size_t *n_checked);

#endif
