#include "cli/watch/pen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text/utf8.h"

#define PRINTF_MAX 1024

static const char *const codes[] = {
    [PEN_PLAIN] = "",          [PEN_BOLD] = "\033[1m",  [PEN_DIM] = "\033[2m",
    [PEN_GOOD] = "\033[32m",   [PEN_WARN] = "\033[33m", [PEN_BAD] = "\033[1;31m",
    [PEN_ACCENT] = "\033[36m",
};

static void put(pen *p, const char *bytes, size_t n)
{
    if (p->status == RT_OK) p->status = rt_buf_add(p->out, bytes, n, p->err);
}

/* Bytes of text that fill at most `columns`; *used is what they fill. Marks without a width stay
 * with the character before them. */
static size_t prefix_of(const char *text, size_t n, size_t columns, size_t *used)
{
    size_t i = 0;
    *used = 0;
    while (i < n) {
        size_t next = i;
        utf8_next(text, n, &next);
        size_t width = utf8_columns(text + i, next - i);
        if (*used + width > columns) break;
        *used += width;
        i = next;
    }
    return i;
}

static void put_within(pen *p, pen_style style, const char *text, size_t columns)
{
    size_t n = strlen(text), used = 0;
    columns = p->column < p->width ? RT_MIN(columns, p->width - p->column) : 0;
    size_t n_put = prefix_of(text, n, columns, &used);
    bool cut = n_put < n;
    if (columns == 0 || n == 0) return;
    if (cut) n_put = prefix_of(text, n, columns - 1, &used);
    bool styled = p->colour && style != PEN_PLAIN;
    if (styled) put(p, codes[style], strlen(codes[style]));
    put(p, text, n_put);
    if (cut) put(p, "…", strlen("…"));
    if (styled) put(p, "\033[0m", 4);
    p->column += used + (cut ? 1 : 0);
}

void pen_text(pen *p, pen_style style, const char *text)
{
    put_within(p, style, text, SIZE_MAX);
}

void pen_printf(pen *p, pen_style style, const char *fmt, ...)
{
    char text[PRINTF_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n >= sizeof text) text[utf8_valid_prefix(text, sizeof text - 1)] = '\0';
    pen_text(p, style, text);
}

void pen_to(pen *p, size_t column)
{
    column = RT_MIN(column, p->width);
    for (; p->column < column; p->column++) put(p, " ", 1);
}

void pen_cell(pen *p, pen_style style, const char *text, size_t columns, bool right)
{
    size_t start = p->column, width = utf8_columns(text, strlen(text));
    if (right && width < columns) pen_to(p, start + columns - width);
    put_within(p, style, text, columns);
    pen_to(p, start + columns);
}

void pen_end_line(pen *p)
{
    put(p, "\n", 1);
    p->column = 0;
    p->n_lines++;
}
