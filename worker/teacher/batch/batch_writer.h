/* Batch input as files of a size that providers take, in a folder that is there whole or not at
 * all.
 *
 *     batch_writer *w = NULL;
 *     if ((st = batch_writer_open("out", &batch_limits_default, &w, err)) != RT_OK) goto out;
 *     st = batch_writer_add(w, line.data, line.n, err);            // out.tmp-<pid>/batch-0001.jsonl
 *     st = batch_writer_commit(w, &n_files, err);                  // -> out/
 *     batch_writer_close(w);                                       // not committed: nothing is left
 */
#ifndef RT_WORKER_TEACHER_BATCH_BATCH_WRITER_H
#define RT_WORKER_TEACHER_BATCH_BATCH_WRITER_H

#include "common/base/bytes.h"

typedef struct batch_limits {
    uint64_t lines_max, bytes_max; /* of one file */
} batch_limits;

/* 50,000 lines and 200 MB: the smallest of what the large providers allow. */
extern const batch_limits batch_limits_default;

typedef struct batch_writer batch_writer;

/* RT_EXISTS when the folder is there. Returns new; batch_writer_close(). */
RT_MUST_USE rt_status batch_writer_open(const char *folder, const batch_limits *limits,
                                        batch_writer **out, rt_error *err);
void batch_writer_close(batch_writer *w);
/* RT_FULL for a line that fits into no file. */
RT_MUST_USE rt_status batch_writer_add(batch_writer *w, const char *line, size_t n, rt_error *err);
/* Durable afterwards. No lines: no folder. Once. */
RT_MUST_USE rt_status batch_writer_commit(batch_writer *w, uint64_t *n_files, rt_error *err);

#endif
