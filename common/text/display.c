#include "common/text/display.h"

#include "common/text/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define ELLIPSIS    "\xE2\x80\xA6"

static bool is_space(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || code == 0x2028 || code == 0x2029;
}

/* C0 and C1 controls, and what overrides the writing direction. */
static bool is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFFFD;
}

/* What is printed next: a character, or the one space before a word. */
typedef struct glyph {
    const char *bytes;
    size_t n, columns;
} glyph;

/* False at the end of text[*i..n). *is_start: nothing is printed yet, or the space just was. */
static bool next_glyph(const char *text, size_t n, size_t *i, bool *is_start, glyph *out)
{
    uint32_t code = ' ';
    size_t before = *i, from = *i;
    while (*i < n && is_space(code)) {
        from = *i;
        code = utf8_next(text, n, i);
    }
    if (is_space(code)) return false;
    if (from > before && !*is_start) {
        *out = (glyph){" ", 1, 1};
        *is_start = true; /* the character itself comes next */
        *i = from;
        return true;
    }
    *is_start = false;
    *out = is_unsafe(code) ? (glyph){REPLACEMENT, 3, 1}
                           : (glyph){text + from, *i - from, utf8_columns(text + from, *i - from)};
    return true;
}

rt_status display_line(const char *text, size_t n, size_t columns, rt_buf *out, rt_error *err)
{
    size_t i = 0, n_columns = 0, fits = out->n; /* out[0..fits) leaves room for the ellipsis */
    bool is_start = true;
    glyph g;
    rt_status st = rt_buf_add(out, "", 0, err);
    while (st == RT_OK && next_glyph(text, n, &i, &is_start, &g)) {
        if (n_columns + g.columns > columns) {
            out->n = fits;
            return rt_buf_add_text(out, ELLIPSIS, err);
        }
        n_columns += g.columns;
        st = rt_buf_add(out, g.bytes, g.n, err);
        if (n_columns < columns) fits = out->n;
    }
    return st;
}

rt_status display_block(const char *text, size_t n, const char *indent, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    bool is_line_start = true;
    for (size_t i = 0; st == RT_OK && i < n;) {
        size_t from = i;
        uint32_t code = utf8_next(text, n, &i);
        if (is_line_start) st = rt_buf_add_text(out, indent, err);
        is_line_start = code == '\n';
        if (st != RT_OK) break;
        st = code != '\n' && code != '\t' && is_unsafe(code)
                 ? rt_buf_add_text(out, REPLACEMENT, err)
                 : rt_buf_add(out, text + from, i - from, err);
    }
    return st == RT_OK && !is_line_start ? rt_buf_add_text(out, "\n", err) : st;
}
