/* Growable bytes and checked sizes.
 *
 *     rt_buf b = {0};
 *     if ((st = rt_buf_printf(&b, err, "%s\n", line)) != RT_OK) goto out;
 *     ...
 *     rt_buf_free(&b);
 */
#ifndef RT_BASE_BYTES_H
#define RT_BASE_BYTES_H

#include "common/base/status.h"

/* Owns `data`; `data[n]` is always '\0' once anything was added, so text can be read as a C
 * string. Zero-initialise to make an empty one. */
typedef struct rt_buf {
    char *data;
    size_t n;
    size_t capacity;
} rt_buf;

void rt_buf_free(rt_buf *buf);
void rt_buf_clear(rt_buf *buf);
RT_MUST_USE rt_status rt_buf_reserve(rt_buf *buf, size_t n_more, rt_error *err);
RT_MUST_USE rt_status rt_buf_add(rt_buf *buf, const void *bytes, size_t n, rt_error *err);
RT_MUST_USE rt_status rt_buf_add_text(rt_buf *buf, const char *text, rt_error *err);
RT_MUST_USE rt_status rt_buf_printf(rt_buf *buf, rt_error *err, const char *fmt, ...)
    RT_PRINTF(3, 4);

/* a * b and a + b, or false when the result does not fit. */
bool rt_checked_mul(size_t a, size_t b, size_t *out);
bool rt_checked_add(size_t a, size_t b, size_t *out);

/* Zeroed array of n elements; NULL on overflow or out of memory, and for n == 0 a valid pointer. */
void *rt_calloc(size_t n, size_t size);
/* New copy of text[0..n) with an end; NULL on out of memory. Freed with free(). */
char *rt_strndup(const char *text, size_t n);

/* Decimal text to a number with nothing left over; false when it is not one or does not fit. */
bool rt_parse_u64(const char *text, uint64_t *out);
bool rt_parse_double(const char *text, double *out);

#endif
