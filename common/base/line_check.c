#include "common/base/line_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"

#define CHECK_KEY    ",\"check\":\""
#define CHECK_DIGITS 16

rt_status line_check_close(rt_buf *line, size_t start, rt_error *err)
{
    uint64_t check = rt_hash64(line->data + start, line->n - start, 0);
    return rt_buf_printf(line, err, CHECK_KEY "%016" PRIx64 "\"}\n", check);
}

rt_status line_check_verify(const char *text, size_t n, rt_error *err)
{
    size_t n_key = strlen(CHECK_KEY);
    size_t n_tail = n_key + CHECK_DIGITS + 2;
    if (n < n_tail || memcmp(text + n - 2, "\"}", 2) != 0) return RT_OK;
    const char *tail = text + n - n_tail;
    if (memcmp(tail, CHECK_KEY, n_key) != 0) return RT_OK;
    char expected[CHECK_DIGITS + 1];
    snprintf(expected, sizeof expected, "%016" PRIx64, rt_hash64(text, n - n_tail, 0));
    if (memcmp(tail + n_key, expected, CHECK_DIGITS) == 0) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "check is %.16s, the bytes give %s: the line was changed after it was written "
                   "(to accept a change made on purpose, remove its \"check\")",
                   tail + n_key, expected);
}
