/* Lines of standard input as they come: full batches from a file, no waiting at a keyboard or a
 * slow pipe.
 *
 *     stdin_lines *in = NULL;
 *     if ((st = stdin_lines_open(STDIN_FILENO, &in, err)) != RT_OK) goto out;
 *     while ((st = stdin_lines_next(in, &line, &n, err)) == RT_OK) {
 *         ...
 *         if (!stdin_lines_ready(in)) flush();    // the next line would have to be waited for
 *     }
 */
#ifndef RT_CLI_STDIN_LINES_H
#define RT_CLI_STDIN_LINES_H

#include "common/base/bytes.h"

#define STDIN_LINE_MAX ((size_t)16 << 20)

typedef struct stdin_lines stdin_lines;

/* Reads from fd, which stays the caller's. Returns new; stdin_lines_close(). */
RT_MUST_USE rt_status stdin_lines_open(int fd, stdin_lines **out, rt_error *err);
void stdin_lines_close(stdin_lines *in);
/* Next line without its end ("\n" or "\r\n"), borrowed until the next call. RT_END after the last;
 * RT_FULL for a line beyond STDIN_LINE_MAX, which is passed over; RT_CANCELLED when a signal asked
 * to stop; RT_IO. */
RT_MUST_USE rt_status stdin_lines_next(stdin_lines *in, const char **line, size_t *n,
                                       rt_error *err);
/* Whether stdin_lines_next() would answer without waiting. */
bool stdin_lines_ready(stdin_lines *in);

#endif
