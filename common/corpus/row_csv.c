/* RFC 4180, read in two passes over a row: find its end, then take its cells.
 *
 *          ┌─ other ─► BARE ─┐
 *   START ─┤                 ├─ delimiter ─► START, newline ─► end
 *          └─ quote ─► QUOTED ─ quote ─► CLOSED ─ quote ─► QUOTED
 *
 * A quote inside a bare cell is a character like any other (5" pipe). A quoted cell that meets the
 * end of the file or the limit makes only its first line malformed; reading goes on behind that
 * line, so that one stray quote costs one row.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/corpus/row_reader_parts.h"

typedef enum csv_state { CSV_START, CSV_BARE, CSV_QUOTED, CSV_CLOSED, CSV_END } csv_state;

static csv_state csv_step(csv_state state, char c, char delimiter)
{
    if (state == CSV_QUOTED) return c == '"' ? CSV_CLOSED : CSV_QUOTED;
    if (c == '\n') return CSV_END;
    if (c == delimiter) return CSV_START;
    if (c == '"' && state == CSV_START) return CSV_QUOTED;
    if (c == '"' && state == CSV_CLOSED) return CSV_QUOTED;
    if (c == '\r' && state == CSV_CLOSED) return CSV_CLOSED;
    return CSV_BARE;
}

void csv_cells_free(csv_cells *cells)
{
    rt_buf_free(&cells->text);
    free(cells->ends);
    *cells = (csv_cells){0};
}

static rt_status end_cell(csv_cells *cells, rt_error *err)
{
    if (cells->n == cells->capacity) {
        size_t capacity = cells->capacity == 0 ? 16 : cells->capacity * 2;
        size_t *ends = realloc(cells->ends, capacity * sizeof *ends);
        if (ends == NULL) return rt_fail(err, RT_NOMEM, "row of %zu cells", capacity);
        cells->ends = ends;
        cells->capacity = capacity;
    }
    cells->ends[cells->n++] = cells->text.n;
    return RT_OK;
}

/* Cells of one row, its line end left out. *stray: text behind a closing quote. */
static rt_status take_cells(const char *text, size_t n, char delimiter, csv_cells *cells,
                            bool *stray, rt_error *err)
{
    rt_status st;
    csv_state state = CSV_START;
    rt_buf_clear(&cells->text);
    cells->n = 0;
    *stray = false;
    if ((st = rt_buf_reserve(&cells->text, n, err)) != RT_OK) return st;
    for (size_t i = 0; i < n; i++) {
        csv_state next = csv_step(state, text[i], delimiter);
        bool is_quote_sign = (state == CSV_START && next == CSV_QUOTED) || next == CSV_CLOSED;
        if (state == CSV_CLOSED && next == CSV_BARE) *stray = true;
        if (next == CSV_START) {
            if ((st = end_cell(cells, err)) != RT_OK) return st;
        } else if (!is_quote_sign) {
            cells->text.data[cells->text.n++] = text[i];
        }
        state = next;
    }
    cells->text.data[cells->text.n] = '\0';
    return end_cell(cells, err);
}

static void cell_at(const csv_cells *cells, size_t i, const char **text, size_t *n)
{
    size_t from = i == 0 ? 0 : cells->ends[i - 1];
    *text = cells->text.data + from;
    *n = cells->ends[i] - from;
}

/* Where the row at hand ends: *n_row without its line end, *n_next with it. RT_FULL: not within the
 * limit, or (*unclosed) a quote that is open there or at the end of the file. */
static rt_status find_row(row_reader *r, char delimiter, size_t *n_row, size_t *n_next,
                          bool *unclosed, rt_error *err)
{
    csv_state state = CSV_START;
    size_t i = 0, n, n_max = r->options.row_bytes_max;
    *unclosed = false;
    for (;;) {
        const char *text = row_window_text(&r->window, &n);
        while (i < n && i <= n_max && state != CSV_END)
            state = csv_step(state, text[i++], delimiter);
        *unclosed = state == CSV_QUOTED;
        bool at_end = r->window.at_end && i == n && n > 0;
        if (state == CSV_END || (at_end && i <= n_max && !*unclosed)) {
            *n_next = i;
            *n_row = state == CSV_END ? i - 1 : i;
            if (*n_row > 0 && text[*n_row - 1] == '\r') --*n_row;
            return RT_OK;
        }
        if (at_end || i > n_max) return RT_FULL;
        rt_status st = row_window_fill(&r->window, err);
        if (st != RT_OK && !(st == RT_END && n > 0)) return st;
    }
}

/* The line at hand is a row by itself, and malformed. */
static rt_status set_unclosed(row_reader *r, rt_error *err)
{
    size_t n_line, n_next, n;
    uint64_t line = r->window.line;
    rt_status st =
        row_window_find_line(&r->window, r->options.row_bytes_max, &n_line, &n_next, err);
    if (st == RT_FULL) return row_set_too_long(r, line, err);
    if (st != RT_OK) return st;
    char *text = row_window_text(&r->window, &n);
    row_window_skip(&r->window, n_next);
    if ((st = row_set(r, text, n_line, line, err)) != RT_OK) return st;
    if (r->current.problem == NULL)
        row_set_problem(r, "a quote is not closed before the end of the file or within %zu bytes",
                        r->options.row_bytes_max);
    return RT_OK;
}

/* The next row of any kind into r->current and r->cells. */
static rt_status next_row(row_reader *r, rt_error *err)
{
    rt_status st;
    size_t n_row, n_next, n;
    bool unclosed, stray;
    char delimiter = r->format == ROW_TSV ? '\t' : ',';
    for (;;) {
        st = find_row(r, delimiter, &n_row, &n_next, &unclosed, err);
        if (st != RT_OK || n_row > 0) break;
        row_window_skip(&r->window, n_next); /* a blank line */
    }
    uint64_t line = r->window.line;
    if (st == RT_FULL) return unclosed ? set_unclosed(r, err) : row_set_too_long(r, line, err);
    if (st != RT_OK) return st;
    char *text = row_window_text(&r->window, &n);
    row_window_skip(&r->window, n_next);
    if ((st = take_cells(text, n_row, delimiter, &r->cells, &stray, err)) != RT_OK) return st;
    if ((st = row_set(r, text, n_row, line, err)) != RT_OK) return st;
    if (stray && r->current.problem == NULL)
        row_set_problem(r, "text behind a closing quote; a quote inside a quoted cell is doubled");
    return RT_OK;
}

static rt_status read_header(row_reader *r, rt_error *err)
{
    rt_status st = next_row(r, err);
    if (st != RT_OK) return st;
    if (r->current.problem != NULL)
        return rt_fail(err, RT_CORRUPT, "%s:%" PRIu64 ": the row of column names: %s",
                       r->current.file, r->current.line, r->current.problem);
    csv_cells names = r->cells;
    for (size_t i = 0; i < names.n; i++) {
        const char *a, *b;
        size_t n_a, n_b;
        cell_at(&names, i, &a, &n_a);
        for (size_t j = 0; j < i; j++) {
            cell_at(&names, j, &b, &n_b);
            if (n_a > 0 && n_a == n_b && memcmp(a, b, n_a) == 0)
                return rt_fail(err, RT_CORRUPT, "%s:%" PRIu64 ": two columns are named '%.*s'",
                               r->current.file, r->current.line, (int)RT_MIN(n_a, (size_t)100), a);
        }
    }
    r->cells = r->header; /* keep both buffers in use */
    r->header = names;
    r->has_header = true;
    return RT_OK;
}

rt_status csv_next(row_reader *r, rt_error *err)
{
    rt_status st;
    if (!r->has_header && (st = read_header(r, err)) != RT_OK) return st;
    if ((st = next_row(r, err)) != RT_OK) return st;
    if (r->current.problem == NULL && r->cells.n != r->header.n)
        row_set_problem(r, "%zu cells, expected %zu as in the row of column names", r->cells.n,
                        r->header.n);
    return RT_OK;
}

bool csv_find(const row_reader *r, const char *column, const char **text, size_t *n)
{
    const char *name;
    size_t n_name, n_column = strlen(column);
    for (size_t i = 0; n_column > 0 && i < r->header.n; i++) {
        cell_at(&r->header, i, &name, &n_name);
        if (n_name != n_column || memcmp(name, column, n_name) != 0) continue;
        cell_at(&r->cells, i, text, n);
        return true;
    }
    return false;
}
