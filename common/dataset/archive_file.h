/* One append-only file of lines: labels.jsonl or rejected.jsonl. Knows lines, not records.
 *
 *     |line\n|line\n|...|line\n|torn...        n_bytes ends behind the last newline
 *                              ^ n_bytes
 *
 * A line is written with one write(2) behind the last whole one. Whatever lies behind n_bytes
 * was cut off in mid-write and is never read.
 */
#ifndef RT_DATASET_ARCHIVE_FILE_H
#define RT_DATASET_ARCHIVE_FILE_H

#include "common/base/bytes.h"

typedef struct archive_file {
    char *path;
    int fd;           /* -1: read-only, and there is no file */
    uint64_t n_bytes; /* of whole lines */
    bool dirty;       /* appended since the last sync */
    bool broken;      /* its end is unknown: no more appends */
} archive_file;

/* Opens <folder>/<name>; `writable` makes it when it is not there. Zero-initialise *f with fd -1. */
RT_MUST_USE rt_status archive_file_open(archive_file *f, const char *folder, const char *name,
                                        bool writable, rt_error *err);
void archive_file_close(archive_file *f);

/* Called with each whole line, its newline left out. */
typedef rt_status (*archive_line_visit)(void *context, const char *line, size_t n, uint64_t offset,
                                        uint64_t i_line, rt_error *err);
/* Walk the lines of [0, end); end UINT64_MAX is the end of the file, and sets f->n_bytes. */
RT_MUST_USE rt_status archive_file_scan(archive_file *f, uint64_t end, archive_line_visit visit,
                                        void *context, rt_error *err);
/* Move what lies behind n_bytes to <path>.torn-N. */
RT_MUST_USE rt_status archive_file_cut_tail(archive_file *f, rt_error *err);
/* Append one line (with its newline) whole or not at all. */
RT_MUST_USE rt_status archive_file_append(archive_file *f, const char *line, size_t n,
                                          rt_error *err);
RT_MUST_USE rt_status archive_file_sync(archive_file *f, rt_error *err);
/* n bytes at an offset, into *out. */
RT_MUST_USE rt_status archive_file_read(const archive_file *f, uint64_t offset, size_t n,
                                        rt_buf *out, rt_error *err);
/* The line that begins at an offset, without its newline, into *out. RT_CORRUPT when it has no end. */
RT_MUST_USE rt_status archive_file_read_line(const archive_file *f, uint64_t offset, rt_buf *out,
                                             rt_error *err);

#endif
