#include "common/corpus/row_window.h"

#include <string.h>

#define FILL_BYTES (64u << 10)

void row_window_free(row_window *w)
{
    if (w == NULL) return;
    rt_buf_free(&w->bytes);
    *w = (row_window){0};
}

char *row_window_text(const row_window *w, size_t *n)
{
    *n = w->bytes.n - w->at;
    return w->bytes.data == NULL ? NULL : w->bytes.data + w->at;
}

rt_status row_window_fill(row_window *w, rt_error *err)
{
    size_t n_read = 0;
    if (w->at_end) return RT_END;
    if (w->at > 0 && w->at >= w->bytes.n / 2) {
        memmove(w->bytes.data, w->bytes.data + w->at, w->bytes.n - w->at);
        w->bytes.n -= w->at;
        w->at = 0;
    }
    rt_status st = rt_buf_reserve(&w->bytes, FILL_BYTES, err);
    if (st != RT_OK) return st;
    st = byte_source_read(w->source, w->bytes.data + w->bytes.n, FILL_BYTES, &n_read, err);
    if (st == RT_END) w->at_end = true;
    if (st != RT_OK) return st;
    w->bytes.n += n_read;
    w->bytes.data[w->bytes.n] = '\0';
    return RT_OK;
}

rt_status row_window_find_line(row_window *w, size_t n_max, size_t *n_line, size_t *n_next,
                               rt_error *err)
{
    size_t n_seen = 0, n;
    for (;;) {
        const char *text = row_window_text(w, &n);
        const char *end = n > n_seen ? memchr(text + n_seen, '\n', n - n_seen) : NULL;
        if (end != NULL || (w->at_end && n > 0)) {
            *n_line = end != NULL ? (size_t)(end - text) : n;
            *n_next = end != NULL ? *n_line + 1 : n;
            if (*n_line > n_max) return RT_FULL;
            if (*n_line > 0 && text[*n_line - 1] == '\r') --*n_line;
            return RT_OK;
        }
        if (n > n_max) return RT_FULL;
        n_seen = n;
        rt_status st = row_window_fill(w, err);
        if (st != RT_OK && !(st == RT_END && n > 0)) return st;
    }
}

void row_window_skip(row_window *w, size_t n)
{
    const char *p = w->bytes.data + w->at;
    const char *end = p + n;
    while (n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        w->line++;
        p++;
    }
    w->at += n;
}

rt_status row_window_skip_line(row_window *w, size_t n_head, rt_buf *head, rt_error *err)
{
    for (;;) {
        size_t n;
        const char *text = row_window_text(w, &n);
        const char *end = n > 0 ? memchr(text, '\n', n) : NULL;
        size_t n_part = end != NULL ? (size_t)(end - text) : n;
        if (head->n < n_head) {
            rt_status st = rt_buf_add(head, text, RT_MIN(n_part, n_head - head->n), err);
            if (st != RT_OK) return st;
        }
        row_window_skip(w, end != NULL ? n_part + 1 : n_part);
        if (end != NULL) return RT_OK;
        rt_status st = row_window_fill(w, err);
        if (st != RT_OK) return st == RT_END ? RT_OK : st;
    }
}
