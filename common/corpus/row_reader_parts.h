/* What the row reader's files share; for nobody else. */
#ifndef RT_CORPUS_ROW_READER_PARTS_H
#define RT_CORPUS_ROW_READER_PARTS_H

#include "common/corpus/row_reader.h"
#include "common/corpus/row_window.h"
#include "common/corpus/source_list.h"

/* Texts one behind the other; cell i ends at ends[i]. */
typedef struct csv_cells {
    rt_buf text;
    size_t *ends;
    size_t n;
    size_t capacity;
} csv_cells;

struct row_reader {
    row_reader_options options;
    source_list sources;
    uint64_t n_bytes_total, n_bytes_done; /* of compressed files */
    size_t i_file;
    byte_source *source; /* NULL: between files */
    row_window window;
    row_format format; /* of the current file */
    row current;
    char problem[512];
    rt_buf kept; /* the row where it cannot stay in the window: a paragraph, a repaired row */
    csv_cells header, cells;
    bool has_header;
};

/* Fill r->current with the next CSV or TSV row; RT_END at the end of the file. */
RT_MUST_USE rt_status csv_next(row_reader *r, rt_error *err);
bool csv_find(const row_reader *r, const char *column, const char **text, size_t *n);
void csv_cells_free(csv_cells *cells);

/* Set r->current to text[0..n) (which stays put until the next row; text[n] is overwritten with an
 * end), with the problem of its encoding if it has one. */
RT_MUST_USE rt_status row_set(row_reader *r, char *text, size_t n, uint64_t line, rt_error *err);
/* The line at hand is longer than row_bytes_max: step over it and make it a malformed row. */
RT_MUST_USE rt_status row_set_too_long(row_reader *r, uint64_t line, rt_error *err);
void row_set_problem(row_reader *r, const char *fmt, ...) RT_PRINTF(2, 3);

#endif
