#include "common/http_server/sse.h"

#include <string.h>

rt_status sse_add(rt_buf *out, const char *text, rt_error *err)
{
    rt_status st = RT_OK;
    for (const char *line = text; st == RT_OK && line != NULL;) {
        const char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line);
        st = rt_buf_add_text(out, "data: ", err);
        if (st == RT_OK) st = rt_buf_add(out, line, n, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
        line = end != NULL ? end + 1 : NULL;
    }
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

rt_status sse_add_event(rt_buf *out, const char *name, const char *text, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "event: %s\n", name);
    return st == RT_OK ? sse_add(out, text, err) : st;
}

rt_status sse_add_comment(rt_buf *out, const char *text, rt_error *err)
{
    return rt_buf_printf(out, err, ": %s\n\n", text);
}

rt_status sse_add_done(rt_buf *out, rt_error *err)
{
    return sse_add(out, "[DONE]", err);
}
