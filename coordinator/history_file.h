/* <run>/history.jsonl: the curves of the run over its restarts (history.h has the lines). Derived: it
 * may be deleted, and what is wrong with it is told in the log and stops nothing.
 *
 *     history_file *f = history_file_open(path, history);     // fills the history
 *     history_file_add(f, &line);
 */
#ifndef RT_COORDINATOR_HISTORY_FILE_H
#define RT_COORDINATOR_HISTORY_FILE_H

#include "coordinator/history.h"

typedef struct history_file history_file;

/* Takes what the file holds into the history, and writes it anew without what is of no use any more.
 * NULL when it cannot be written. Returns new; history_file_close(). */
history_file *history_file_open(const char *path, history *h);
/* Append whole lines. NULL for f: nothing happens. */
void history_file_add(history_file *f, const rt_buf *lines);
void history_file_close(history_file *f);

#endif
