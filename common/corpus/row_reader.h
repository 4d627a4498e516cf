/* Rows of corpus files, streamed: JSON lines, plain text, CSV and TSV; plain, gzip or zstd.
 *
 *     row_reader *r = NULL;
 *     if ((st = row_reader_open(paths, n, &options, &r, err)) != RT_OK) goto out;
 *     while ((st = row_reader_next(r, &row, err)) == RT_OK) { ... }
 *     if (st == RT_END) st = RT_OK;
 *
 * One row is in memory at a time; a row longer than row_bytes_max is malformed, not fatal.
 */
#ifndef RT_CORPUS_ROW_READER_H
#define RT_CORPUS_ROW_READER_H

#include "common/text/template.h"

typedef enum row_format { ROW_AUTO, ROW_JSONL, ROW_TEXT, ROW_CSV, ROW_TSV } row_format;

typedef struct row_reader_options {
    row_format format;
    bool paragraphs;      /* ROW_TEXT: a row is a paragraph, not a line */
    size_t row_bytes_max; /* 0: 16 MiB */
} row_reader_options;

typedef struct row_reader row_reader;

/* Borrowed from the reader until the next call. */
typedef struct row {
    const char *file;
    uint64_t line;       /* first line of the row, from 1 */
    const char *problem; /* NULL, or why the row is malformed ("invalid JSON: ... at column 7") */
    const char *raw;     /* the row's bytes (repaired to UTF-8 for the rejected file) */
    size_t n_raw;
} row;

/* Expands globs (sorted; a pattern that matches nothing is RT_NOTFOUND naming it). */
RT_MUST_USE rt_status row_reader_open(const char *const *patterns, size_t n_patterns,
                                      const row_reader_options *options, row_reader **out,
                                      rt_error *err);
void row_reader_close(row_reader *r);
/* RT_OK with a row (check row->problem), RT_END, or a failure of the file itself (RT_IO,
 * RT_CORRUPT for a broken .gz or .zst, naming the file). */
RT_MUST_USE rt_status row_reader_next(row_reader *r, row *out, rt_error *err);
/* A template_lookup over the fields of the current row; context is the reader. Text rows have one
 * field, "text" (also reachable as "input"). Numbers print as written; arrays print as lettered
 * choices "(a) first\n(b) second". */
rt_status row_reader_lookup(void *reader, const char *field, rt_buf *out, rt_error *err);
/* Files read and bytes consumed of the compressed total, for progress. */
double row_reader_progress(const row_reader *r);

#endif
