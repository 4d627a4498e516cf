/* Splitting. Comparing is in text_overlap.c. */
#include "common/text/text_units.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/text/utf8.h"

/* Words that one character of an unspaced script stands for; 0: the script is written in words. */
static double words_of_character(uint32_t code)
{
    static const utf8_range halves[] = {
        {0x3005, 0x3007}, {0x3041, 0x3096}, {0x309D, 0x309F},   {0x30A1, 0x30FA},
        {0x30FC, 0x30FF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
        {0xF900, 0xFAFF}, {0xFF66, 0xFF9F}, {0x1B000, 0x1B16F}, {0x20000, 0x3FFFD},
    };
    static const utf8_range quarters[] = {
        {0x0E01, 0x0E3A}, {0x0E40, 0x0E5B}, {0x0E80, 0x0EFF}, {0x1000, 0x109F}, {0x1780, 0x17FF}};
    if (code < 0x0E01) return 0;
    if (utf8_code_is_in(code, halves, RT_COUNT(halves))) return 0.5;
    return utf8_code_is_in(code, quarters, RT_COUNT(quarters)) ? 0.25 : 0;
}

/* Letters and digits. Beyond ASCII everything that is not known as punctuation, space or symbol. */
static bool is_word_code(uint32_t code)
{
    static const utf8_range others[] = {
        {0x80, 0xA9},     {0xAB, 0xB4},     {0xB6, 0xB9},     {0xBB, 0xBF},     {0xD7, 0xD7},
        {0xF7, 0xF7},     {0x1680, 0x1680}, {0x2000, 0x206F}, {0x20A0, 0x20CF}, {0x2190, 0x2BFF},
        {0x2E00, 0x2E7F}, {0x3000, 0x3004}, {0x3008, 0x3030}, {0x3097, 0x309C}, {0x30A0, 0x30A0},
        {0x30FB, 0x30FB}, {0xD800, 0xF8FF}, {0xFE00, 0xFE6F}, {0xFEFF, 0xFEFF}, {0xFF01, 0xFF0F},
        {0xFF1A, 0xFF20}, {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65}, {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF},
    };
    if (code < 0x80) return isalnum((int)code) != 0;
    return !utf8_code_is_in(code, others, RT_COUNT(others));
}

/* Small letters of Latin, Greek and Cyrillic; full-width characters as ASCII. */
static uint32_t fold(uint32_t code)
{
    if (code >= 0xFF01 && code <= 0xFF5E) code -= 0xFF01 - '!';
    if (code < 0x80) return (uint32_t)tolower((int)code);
    if ((code >= 0xC0 && code <= 0xDE && code != 0xD7) || (code >= 0x391 && code <= 0x3A9) ||
        (code >= 0x410 && code <= 0x42F))
        return code + 0x20;
    if (code >= 0x400 && code <= 0x40F) return code + 0x50;
    return code;
}

static size_t encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

static uint32_t code_at(const char *text, size_t n, size_t i)
{
    return i < n ? fold(utf8_next(text, n, &i)) : 0;
}

static bool is_digit(uint32_t code)
{
    return code >= '0' && code <= '9';
}

/* "3.5", "1,200" and "don't" are one word each. */
static bool joins(uint32_t before, uint32_t code, uint32_t after)
{
    if (code == '.' || code == ',') return is_digit(before) && is_digit(after);
    return (code == '\'' || code == 0x2019) && is_word_code(before) && is_word_code(after) &&
           words_of_character(after) == 0;
}

/* The next unit from text[*i] on into *unit; false at the end. */
static rt_status next_unit(const char *text, size_t n, size_t *i, rt_buf *unit, double *n_words,
                           bool *found, rt_error *err)
{
    rt_status st = RT_OK;
    uint32_t before = 0;
    rt_buf_clear(unit);
    *found = false;
    *n_words = 1;
    while (st == RT_OK && *i < n) {
        size_t i_next = *i;
        char bytes[4];
        uint32_t code = fold(utf8_next(text, n, &i_next));
        double words = words_of_character(code);
        if (words > 0 && *found) break; /* a unit of its own */
        if (!is_word_code(code)) {
            if (*found && !joins(before, code, code_at(text, n, i_next))) break;
            *i = i_next;
            /* Commas between digits only help to read them. */
            if (!*found || code == ',') continue;
            if (code == 0x2019) code = '\'';
        }
        *i = i_next;
        *found = true;
        st = rt_buf_add(unit, bytes, encode(code, bytes), err);
        before = code;
        if (words > 0) {
            *n_words = words;
            break;
        }
    }
    return st;
}

void text_units_free(text_units *units)
{
    free(units->hashes);
    memset(units, 0, sizeof *units);
}

static rt_status add_unit(text_units *units, uint64_t hash, rt_error *err)
{
    if (units->n == units->capacity) {
        size_t capacity = units->capacity == 0 ? 64 : units->capacity * 2;
        uint64_t *bigger = realloc(units->hashes, capacity * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "%zu words of a text", capacity);
        units->hashes = bigger;
        units->capacity = capacity;
    }
    units->hashes[units->n++] = hash;
    return RT_OK;
}

rt_status text_units_of(const char *text, size_t n, text_units *units, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf unit = {0};
    size_t i = 0;
    double n_words = 0;
    bool found = true;
    while (st == RT_OK) {
        st = next_unit(text, n, &i, &unit, &n_words, &found, err);
        if (st != RT_OK || !found) break;
        st = add_unit(units, rt_hash64(unit.data, unit.n, 0), err);
        units->n_words += n_words;
    }
    rt_buf_free(&unit);
    return st;
}

rt_status text_units_normalise(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf unit = {0};
    size_t i = 0, n_before = out->n;
    double n_words = 0;
    bool found = true;
    while (st == RT_OK) {
        st = next_unit(text, n, &i, &unit, &n_words, &found, err);
        if (st != RT_OK || !found) break;
        if (out->n > n_before) st = rt_buf_add_text(out, " ", err);
        if (st == RT_OK) st = rt_buf_add(out, unit.data, unit.n, err);
    }
    rt_buf_free(&unit);
    return st;
}
