/* A moving window over the bytes of a file: rows are found and read in place.
 *
 *     bytes:  |used up|  rows to come ........|
 *                     ^ at                    ^ n
 *
 * Nothing is lost until it is skipped, so a row that turns out broken can be read again as lines.
 */
#ifndef RT_CORPUS_ROW_WINDOW_H
#define RT_CORPUS_ROW_WINDOW_H

#include "common/base/bytes.h"
#include "common/corpus/byte_source.h"

/* Borrows the source. Zero-initialise with it; row_window_free(). */
typedef struct row_window {
    byte_source *source;
    rt_buf bytes;
    size_t at;
    uint64_t line; /* number of the line that begins at `at`, from 1 */
    bool at_end;   /* of the source */
} row_window;

void row_window_free(row_window *w);
/* Bytes from `at` on, and how many there are. They move at the next fill. */
char *row_window_text(const row_window *w, size_t *n);
/* Read more; RT_END at the end of the source. */
RT_MUST_USE rt_status row_window_fill(row_window *w, rt_error *err);
/* Find the end of the line that begins at `at`: *n_line bytes without "\n" or "\r\n", *n_next bytes
 * to the next line. RT_END when there is nothing; RT_FULL (without a message) when no end came
 * within n_max bytes. */
RT_MUST_USE rt_status row_window_find_line(row_window *w, size_t n_max, size_t *n_line,
                                           size_t *n_next, rt_error *err);
/* Step over n bytes, counting lines. */
void row_window_skip(row_window *w, size_t n);
/* Step over the rest of a line however long it is; its first bytes go to *head. */
RT_MUST_USE rt_status row_window_skip_line(row_window *w, size_t n_head, rt_buf *head,
                                           rt_error *err);

#endif
