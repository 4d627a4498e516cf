#include "worker/report/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* What stands for the character of n bytes at text; NULL: itself. */
static const char *reference_of(const char *text, size_t n)
{
    uint32_t code = (unsigned char)text[0];
    if (n > 1) {
        size_t i = 0;
        code = utf8_next(text, n, &i);
        /* C1 controls, and the two that no text ends with. */
        bool forbidden = (code >= 0x80 && code < 0xa0) || (code & 0xfffe) == 0xfffe;
        return forbidden ? REPLACEMENT : NULL;
    }
    switch (code) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\t':
    case '\n': return NULL;
    default: return code < 0x20 || code == 0x7f ? REPLACEMENT : NULL;
    }
}

rt_status html_escape(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t from = 0, i = 0;
    while (st == RT_OK && i < n) {
        size_t at = i;
        uint32_t code = utf8_next(text, n, &i);
        /* A byte that is no UTF-8 comes back as U+FFFD of one byte. */
        bool broken = code == 0xfffd && i - at == 1;
        const char *instead = broken ? REPLACEMENT : reference_of(text + at, i - at);
        if (instead == NULL) continue;
        st = rt_buf_add(out, text + from, at - from, err);
        if (st == RT_OK) st = rt_buf_add_text(out, instead, err);
        from = i;
    }
    return st == RT_OK ? rt_buf_add(out, text + from, n - from, err) : st;
}

void html_raw(html *h, const char *ours)
{
    if (h->status == RT_OK) h->status = rt_buf_add_text(&h->out, ours, &h->error);
}

void html_text(html *h, const char *text)
{
    if (h->status == RT_OK && text != NULL)
        h->status = html_escape(text, strlen(text), &h->out, &h->error);
}

void html_printf(html *h, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (h->status != RT_OK) return;
    if (n < 0 || (size_t)n >= sizeof text)
        h->status = rt_fail(&h->error, RT_FULL, "piece of a page: %d bytes, at most %zu", n,
                            sizeof text - 1);
    else
        h->status = rt_buf_add(&h->out, text, (size_t)n, &h->error);
}

rt_status html_end(html *h, rt_buf *out, rt_error *err)
{
    rt_status st = h->status;
    if (st != RT_OK)
        st = rt_fail(err, st, "%s", h->error.text);
    else
        st = rt_buf_add(out, h->out.data == NULL ? "" : h->out.data, h->out.n, err);
    html_drop(h);
    return st;
}

void html_drop(html *h)
{
    rt_buf_free(&h->out);
    memset(h, 0, sizeof *h);
}
