/* Text of others on somebody's terminal: nothing in it may move the cursor, change colours, turn
 * the writing direction or break a line that was meant as one.
 *
 *     display_line(r->input, strlen(r->input), 76, &out, err);     "Q: A train leaves at 9 and…"
 *     display_block(prompt, strlen(prompt), "  | ", &out, err);    every line behind "  | "
 *
 * Both add to *out. Control characters, marks of direction and invalid bytes print as U+FFFD.
 */
#ifndef RT_TEXT_DISPLAY_H
#define RT_TEXT_DISPLAY_H

#include "common/base/bytes.h"

/* One line of at most `columns` (at least 2): runs of white space are one space, an end that does
 * not fit is "…". */
RT_MUST_USE rt_status display_line(const char *text, size_t n, size_t columns, rt_buf *out,
                                   rt_error *err);
/* All lines, each behind `indent` and ended. */
RT_MUST_USE rt_status display_block(const char *text, size_t n, const char *indent, rt_buf *out,
                                    rt_error *err);

#endif
