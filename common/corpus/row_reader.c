#include "common/corpus/row_reader.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/corpus/json_slice.h"
#include "common/corpus/row_reader_parts.h"
#include "common/text/utf8.h"

#define ROW_BYTES_MAX_DEFAULT (16u << 20)

static bool ends_with(const char *text, size_t n, const char *ending)
{
    size_t k = strlen(ending);
    return n >= k && strncasecmp(text + n - k, ending, k) == 0;
}

static rt_status format_of_name(const char *path, row_format *out, rt_error *err)
{
    static const struct {
        const char *ending;
        row_format format;
    } endings[] = {{".jsonl", ROW_JSONL}, {".ndjson", ROW_JSONL}, {".json", ROW_JSONL},
                   {".txt", ROW_TEXT},    {".text", ROW_TEXT},    {".csv", ROW_CSV},
                   {".tsv", ROW_TSV},     {".tab", ROW_TSV}};
    size_t n = strlen(path);
    if (ends_with(path, n, ".gz"))
        n -= 3;
    else if (ends_with(path, n, ".zst"))
        n -= 4;
    for (size_t i = 0; i < RT_COUNT(endings); i++) {
        if (!ends_with(path, n, endings[i].ending)) continue;
        *out = endings[i].format;
        return RT_OK;
    }
    return rt_fail(
        err, RT_INVALID,
        "%s: its name does not tell its format (.jsonl .json .ndjson .txt .csv .tsv, each "
        "also .gz .zst); set the format",
        path);
}

rt_status row_reader_open(const char *const *patterns, size_t n_patterns,
                          const row_reader_options *options, row_reader **out, rt_error *err)
{
    rt_status st;
    row_format ignored;
    row_reader *r = rt_calloc(1, sizeof *r);
    if (r == NULL) return rt_fail(err, RT_NOMEM, "row reader");
    if (options != NULL) r->options = *options;
    if (r->options.row_bytes_max == 0) r->options.row_bytes_max = ROW_BYTES_MAX_DEFAULT;
    if ((st = source_list_expand(patterns, n_patterns, &r->sources, err)) != RT_OK) goto out;
    for (size_t i = 0; i < r->sources.n; i++) {
        r->n_bytes_total += r->sources.files[i].n_bytes;
        /* Say now what would stop the reading hours later. */
        if (r->options.format == ROW_AUTO &&
            (st = format_of_name(r->sources.files[i].path, &ignored, err)) != RT_OK)
            goto out;
    }
    *out = r;
    r = NULL;
out:
    row_reader_close(r);
    return st;
}

static void close_file(row_reader *r)
{
    if (r->source != NULL) r->n_bytes_done += byte_source_n_read(r->source);
    byte_source_close(r->source);
    r->source = NULL;
    row_window_free(&r->window);
    r->has_header = false;
    r->header.n = r->cells.n = 0;
}

void row_reader_close(row_reader *r)
{
    if (r == NULL) return;
    close_file(r);
    source_list_free(&r->sources);
    rt_buf_free(&r->kept);
    csv_cells_free(&r->header);
    csv_cells_free(&r->cells);
    free(r);
}

static rt_status open_file(row_reader *r, rt_error *err)
{
    size_t n;
    const char *path = r->sources.files[r->i_file].path;
    r->format = r->options.format;
    rt_status st = r->format == ROW_AUTO ? format_of_name(path, &r->format, err) : RT_OK;
    if (st == RT_OK) st = byte_source_open(path, &r->source, err);
    if (st != RT_OK) return st;
    r->window = (row_window){.source = r->source, .line = 1};
    do st = row_window_fill(&r->window, err);
    while (st == RT_OK && r->window.bytes.n < 3);
    if (st != RT_OK && st != RT_END) return st;
    const char *text = row_window_text(&r->window, &n);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) row_window_skip(&r->window, 3);
    return RT_OK;
}

void row_set_problem(row_reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->problem, sizeof r->problem, fmt, args);
    va_end(args);
    /* A library's message may quote the row's own bytes, cut anywhere. */
    r->problem[utf8_valid_prefix(r->problem, strlen(r->problem))] = '\0';
    r->current.problem = r->problem;
}

rt_status row_set(row_reader *r, char *text, size_t n, uint64_t line, rt_error *err)
{
    rt_status st;
    text[n] = '\0';
    r->current.line = line;
    r->current.problem = NULL;
    r->current.raw = text;
    r->current.n_raw = n;
    const char *nul = memchr(text, '\0', n);
    size_t n_valid = utf8_valid_prefix(text, n);
    if (n_valid == n && nul == NULL) return RT_OK;
    if (n_valid < n)
        row_set_problem(r, "not UTF-8: byte 0x%02x at column %zu", (unsigned char)text[n_valid],
                        n_valid + 1);
    else
        row_set_problem(r, "a NUL byte at column %zu", (size_t)(nul - text) + 1);
    rt_buf repaired = {0};
    if ((st = utf8_repair(text, n, &repaired, err)) != RT_OK) return st;
    rt_buf_free(&r->kept); /* text may lie in there: only now */
    r->kept = repaired;
    r->current.raw = repaired.data == NULL ? "" : repaired.data;
    r->current.n_raw = repaired.n;
    return RT_OK;
}

rt_status row_set_too_long(row_reader *r, uint64_t line, rt_error *err)
{
    rt_buf_clear(&r->kept);
    rt_status st = row_window_skip_line(&r->window, ROW_RAW_MAX, &r->kept, err);
    if (st == RT_OK) st = rt_buf_reserve(&r->kept, 1, err);
    if (st == RT_OK) st = row_set(r, r->kept.data, r->kept.n, line, err);
    if (st == RT_OK)
        row_set_problem(r, "longer than the limit of %zu bytes", r->options.row_bytes_max);
    return st;
}

static bool is_blank(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

static void check_json(row_reader *r)
{
    json_error_t where;
    if (r->current.problem != NULL) return;
    /* Numbers are printed as they were written, so an integer of any size will do. */
    json_t *value = json_loadb(r->current.raw, r->current.n_raw,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &where);
    if (value == NULL)
        row_set_problem(r, "invalid JSON: %s at column %d", where.text, where.column);
    else if (!json_is_object(value))
        row_set_problem(r, "expected a JSON object on one line, found an array");
    json_decref(value);
}

/* The next line that is not blank, as a row. */
static rt_status next_line(row_reader *r, rt_error *err)
{
    size_t n_line, n_next, n;
    for (;;) {
        uint64_t line = r->window.line;
        rt_status st =
            row_window_find_line(&r->window, r->options.row_bytes_max, &n_line, &n_next, err);
        if (st == RT_FULL) return row_set_too_long(r, line, err);
        if (st != RT_OK) return st;
        char *text = row_window_text(&r->window, &n);
        row_window_skip(&r->window, n_next);
        if (is_blank(text, n_line)) continue;
        if ((st = row_set(r, text, n_line, line, err)) != RT_OK) return st;
        if (r->format == ROW_JSONL) check_json(r);
        return RT_OK;
    }
}

/* Lines up to a blank one, joined by "\n". */
static rt_status next_paragraph(row_reader *r, rt_error *err)
{
    rt_status st;
    size_t n_line, n_next, n;
    size_t n_max = r->options.row_bytes_max;
    uint64_t first = 0;
    bool too_long = false;
    rt_buf_clear(&r->kept);
    for (;;) {
        uint64_t line = r->window.line;
        st = row_window_find_line(&r->window, n_max, &n_line, &n_next, err);
        if (st == RT_END) break;
        if (st != RT_OK && st != RT_FULL) return st;
        const char *text = row_window_text(&r->window, &n);
        if (st == RT_OK && is_blank(text, n_line)) {
            row_window_skip(&r->window, n_next);
            if (first != 0) break;
            continue;
        }
        if (first == 0) first = line;
        if (st == RT_FULL || r->kept.n + n_line + 1 > n_max) too_long = true;
        if (too_long) {
            st =
                row_window_skip_line(&r->window, RT_MIN(n_max, (size_t)ROW_RAW_MAX), &r->kept, err);
            if (st != RT_OK) return st;
            continue;
        }
        if (r->kept.n > 0 && (st = rt_buf_add(&r->kept, "\n", 1, err)) != RT_OK) return st;
        if ((st = rt_buf_add(&r->kept, text, n_line, err)) != RT_OK) return st;
        row_window_skip(&r->window, n_next);
    }
    if (first == 0) return RT_END;
    if ((st = rt_buf_reserve(&r->kept, 1, err)) != RT_OK) return st;
    if (too_long) r->kept.n = RT_MIN(r->kept.n, (size_t)ROW_RAW_MAX);
    if ((st = row_set(r, r->kept.data, r->kept.n, first, err)) != RT_OK) return st;
    if (too_long) row_set_problem(r, "longer than the limit of %zu bytes", n_max);
    return RT_OK;
}

static rt_status next_in_file(row_reader *r, rt_error *err)
{
    if (r->format == ROW_CSV || r->format == ROW_TSV) return csv_next(r, err);
    if (r->format == ROW_TEXT && r->options.paragraphs) return next_paragraph(r, err);
    return next_line(r, err);
}

rt_status row_reader_next(row_reader *r, row *out, rt_error *err)
{
    rt_status st;
    while (r->i_file < r->sources.n) {
        r->current = (row){.file = r->sources.files[r->i_file].path};
        if (r->source == NULL && (st = open_file(r, err)) != RT_OK) return st;
        st = next_in_file(r, err);
        if (st == RT_OK) {
            *out = r->current;
            return RT_OK;
        }
        if (st != RT_END) return st;
        close_file(r);
        r->i_file++;
    }
    r->current = (row){0};
    return RT_END;
}

static bool find_json(const row_reader *r, const char *field, json_slice *value, const char **rest)
{
    json_slice line = {r->current.raw, r->current.n_raw};
    return r->current.raw != NULL && r->current.problem == NULL && r->format == ROW_JSONL &&
           json_slice_find(line, field, value, rest);
}

rt_status row_reader_lookup(void *reader, const char *field, rt_buf *out, rt_error *err)
{
    row_reader *r = reader;
    json_slice value;
    const char *rest, *text;
    size_t n;
    if (r->current.raw == NULL || r->current.problem != NULL)
        return rt_fail(err, RT_NOTFOUND, "field '%s': the row is malformed", field);
    if (r->format == ROW_TEXT) {
        if (strcmp(field, "text") == 0 || strcmp(field, "input") == 0)
            return rt_buf_add(out, r->current.raw, r->current.n_raw, err);
        return rt_fail(err, RT_NOTFOUND, "no field '%s': a row of text has only {text}", field);
    }
    if (r->format == ROW_CSV || r->format == ROW_TSV) {
        if (csv_find(r, field, &text, &n)) return rt_buf_add(out, text, n, err);
        return rt_fail(err, RT_NOTFOUND, "no column '%s'", field);
    }
    if (!find_json(r, field, &value, &rest))
        return rt_fail(err, RT_NOTFOUND, "no field '%s'", field);
    rt_status st = json_slice_print(value, rest, out, err);
    return st == RT_NOTFOUND ? rt_wrap(err, st, "field '%s'", field) : st;
}

bool row_reader_is_null(const row_reader *r, const char *field)
{
    json_slice value;
    const char *rest;
    return find_json(r, field, &value, &rest) && rest[0] == '\0' && json_slice_is_null(value);
}

double row_reader_progress(const row_reader *r)
{
    if (r->i_file >= r->sources.n) return 1;
    uint64_t n = r->n_bytes_done + (r->source == NULL ? 0 : byte_source_n_read(r->source));
    if (r->n_bytes_total == 0) return 0;
    return n >= r->n_bytes_total ? 1 : (double)n / (double)r->n_bytes_total;
}
