#include "common/text/utf8.h"

/* Length of the valid sequence at p[0..n), or 0. Bounds of the second byte rule out overlong
 * forms, surrogates and values above U+10FFFF (Unicode standard, table 3-7). */
static size_t sequence_length(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t length;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4) return 0;
    if (p[0] < 0xE0) {
        length = 2;
    } else if (p[0] < 0xF0) {
        length = 3;
        if (p[0] == 0xE0) low = 0xA0;
        if (p[0] == 0xED) high = 0x9F;
    } else {
        length = 4;
        if (p[0] == 0xF0) low = 0x90;
        if (p[0] == 0xF4) high = 0x8F;
    }
    if (n < length || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return length;
}

size_t utf8_valid_prefix(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t length = sequence_length((const unsigned char *)text + i, n - i);
        if (length == 0) break;
        i += length;
    }
    return i;
}

bool utf8_is_valid(const char *text, size_t n)
{
    return utf8_valid_prefix(text, n) == n;
}

rt_status utf8_repair(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    size_t n_before = out->n;
    size_t i = 0;
    rt_status st = RT_OK;
    while (st == RT_OK && i < n) {
        size_t valid = utf8_valid_prefix(text + i, n - i);
        st = rt_buf_add(out, text + i, valid, err);
        i += valid;
        if (st == RT_OK && i < n) {
            st = rt_buf_add(out, "\xEF\xBF\xBD", 3, err);
            i++;
        }
    }
    if (st == RT_OK && n == 0) st = rt_buf_add(out, "", 0, err); /* data is a string even so */
    if (st != RT_OK && out->data != NULL) {
        out->n = n_before;
        out->data[n_before] = '\0';
    }
    return st;
}

static uint32_t decode(const unsigned char *p, size_t length)
{
    switch (length) {
    case 1: return p[0];
    case 2: return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    case 3: return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    default:
        return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    }
}

uint32_t utf8_next(const char *text, size_t n, size_t *i)
{
    const unsigned char *p = (const unsigned char *)text + *i;
    size_t length = sequence_length(p, n - *i);
    *i += length == 0 ? 1 : length;
    return length == 0 ? 0xFFFD : decode(p, length);
}

bool utf8_code_is_in(uint32_t code, const utf8_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

static size_t code_columns(uint32_t code)
{
    static const utf8_range zero[] = {
        {0x00, 0x1F},     {0x7F, 0x9F},     {0x300, 0x36F},   {0x200B, 0x200F},
        {0x20D0, 0x20FF}, {0x3099, 0x309A}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF},
    };
    static const utf8_range wide[] = {
        {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},
        {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},
        {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
        {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
    };
    if (utf8_code_is_in(code, zero, RT_COUNT(zero))) return 0;
    return utf8_code_is_in(code, wide, RT_COUNT(wide)) ? 2 : 1;
}

size_t utf8_columns(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t columns = 0;
    for (size_t i = 0; i < n;) {
        size_t length = sequence_length(p + i, n - i);
        columns += length == 0 ? 1 : code_columns(decode(p + i, length));
        i += length == 0 ? 1 : length;
    }
    return columns;
}
