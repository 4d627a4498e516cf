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

/* ROW_AUTO goes by the file's name, .gz and .zst aside: .jsonl .ndjson .json, .txt .text, .csv, .tsv
 * .tab; RT_INVALID for any other. Blank lines are no rows. CSV and TSV follow RFC 4180: the first
 * row names the columns (a broken one is RT_CORRUPT, for without it no row can be read), fields may
 * be quoted and then hold delimiters, doubled quotes and line ends. A quote that never closes makes
 * its own line malformed, not the rest of the file. */

typedef struct row_reader row_reader;

/* Borrowed from the reader until the next call. */
typedef struct row {
    const char *file;
    uint64_t line;       /* first line of the row, from 1 */
    const char *problem; /* NULL, or why the row is malformed ("invalid JSON: ... at column 7") */
    const char *raw;     /* the row's bytes, with an end; repaired to UTF-8 when they were not; the
                            first ROW_RAW_MAX of a row that is too long */
    size_t n_raw;
} row;

#define ROW_RAW_MAX 4096

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
 * choices "(a) first\n(b) second". Dotted names reach into JSON objects and arrays ("answers.0"); a
 * name behind an array of objects is looked up in each ("choices.text"). RT_NOTFOUND names a field
 * that is missing or null. */
rt_status row_reader_lookup(void *reader, const char *field, rt_buf *out, rt_error *err);
/* Whether the current row has this field and it is a JSON null: known to be without a value. */
bool row_reader_is_null(const row_reader *r, const char *field);
/* Files read and bytes consumed of the compressed total, for progress. */
double row_reader_progress(const row_reader *r);

#endif
