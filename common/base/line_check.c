#include "common/base/line_check.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/hash.h"

#define CHECK_KEY    ",\"check\":\""
#define CHECK_DIGITS 16

rt_status line_check_close(rt_buf *line, size_t start, rt_error *err)
{
    uint64_t check = rt_hash64(line->data + start, line->n - start, 0);
    return rt_buf_printf(line, err, CHECK_KEY "%016" PRIx64 "\"}\n", check);
}

/* Where the check begins, or SIZE_MAX when there is none. */
static size_t find_tail(const char *text, size_t n)
{
    size_t n_key = strlen(CHECK_KEY), n_tail = n_key + CHECK_DIGITS + 2;
    if (n < n_tail || memcmp(text + n - 2, "\"}", 2) != 0) return SIZE_MAX;
    return memcmp(text + n - n_tail, CHECK_KEY, n_key) == 0 ? n - n_tail : SIZE_MAX;
}

static bool digits_are(const char *digits, uint64_t number)
{
    for (int i = 0; i < CHECK_DIGITS; i++)
        if (digits[i] != "0123456789abcdef"[number >> (60 - 4 * i) & 15]) return false;
    return true;
}

bool line_check_holds(const char *text, size_t n, size_t *n_checked)
{
    size_t tail = find_tail(text, n);
    if (tail == SIZE_MAX) return false;
    *n_checked = tail;
    return digits_are(text + tail + strlen(CHECK_KEY), rt_hash64(text, tail, 0));
}

rt_status line_check_verify(const char *text, size_t n, rt_error *err)
{
    size_t tail = find_tail(text, n);
    if (tail == SIZE_MAX) return RT_OK;
    const char *digits = text + tail + strlen(CHECK_KEY);
    uint64_t check = rt_hash64(text, tail, 0);
    if (digits_are(digits, check)) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "check is %.16s, the bytes give %016" PRIx64
                   ": the line was changed after it was written "
                   "(to accept a change made on purpose, remove its \"check\")",
                   digits, check);
}
