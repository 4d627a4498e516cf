#include "common/base/bytes.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rt_buf_free(rt_buf *buf)
{
    if (buf == NULL) return;
    free(buf->data);
    *buf = (rt_buf){0};
}

void rt_buf_clear(rt_buf *buf)
{
    buf->n = 0;
    if (buf->data != NULL) buf->data[0] = '\0';
}

rt_status rt_buf_reserve(rt_buf *buf, size_t n_more, rt_error *err)
{
    size_t need;
    if (!rt_checked_add(buf->n, n_more, &need) || !rt_checked_add(need, 1, &need))
        return rt_fail(err, RT_NOMEM, "buffer of %zu + %zu bytes", buf->n, n_more);
    if (need <= buf->capacity) return RT_OK;
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < need) capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = realloc(buf->data, capacity);
    if (data == NULL) return rt_fail(err, RT_NOMEM, "buffer of %zu bytes", capacity);
    buf->data = data;
    buf->capacity = capacity;
    return RT_OK;
}

rt_status rt_buf_add(rt_buf *buf, const void *bytes, size_t n, rt_error *err)
{
    rt_status st = rt_buf_reserve(buf, n, err);
    if (st != RT_OK) return st;
    if (n > 0) memcpy(buf->data + buf->n, bytes, n);
    buf->n += n;
    buf->data[buf->n] = '\0';
    return RT_OK;
}

rt_status rt_buf_add_text(rt_buf *buf, const char *text, rt_error *err)
{
    return rt_buf_add(buf, text, strlen(text), err);
}

rt_status rt_buf_printf(rt_buf *buf, rt_error *err, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    rt_status st =
        n < 0 ? rt_fail(err, RT_INVALID, "format '%s'", fmt) : rt_buf_reserve(buf, (size_t)n, err);
    if (st == RT_OK) {
        vsnprintf(buf->data + buf->n, (size_t)n + 1, fmt, again);
        buf->n += (size_t)n;
    }
    va_end(again);
    return st;
}

bool rt_checked_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool rt_checked_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

void *rt_calloc(size_t n, size_t size)
{
    return calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);
}

char *rt_strndup(const char *text, size_t n)
{
    char *copy = malloc(n + 1);
    if (copy == NULL) return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

bool rt_parse_u64(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)text[0])) return false;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') return false;
    *out = v;
    return true;
}

bool rt_parse_double(const char *text, double *out)
{
    if (text[0] == '\0' || isspace((unsigned char)text[0])) return false;
    char *end = NULL;
    errno = 0;
    double v = strtod(text, &end);
    if (errno == ERANGE || *end != '\0') return false;
    *out = v;
    return true;
}
