#include "common/text/token_ceiling.h"

#include <stdbool.h>

#include "common/text/utf8.h"

#define LETTERS_OF_FIRST 4 /* common short words are one token */
#define LETTERS_OF_NEXT  3
#define CAPITALS         2
#define BLANKS_OF_TOKEN  8
#define LINES_OF_TOKEN   2

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_small(char c)
{
    return c >= 'a' && c <= 'z';
}

static size_t parts_of(size_t n, size_t n_of_part)
{
    return (n + n_of_part - 1) / n_of_part;
}

/* One word, from text[*i], *i moved behind it: capitals, or small letters with or without one
 * capital before them. */
static size_t take_word(const char *text, size_t n, size_t *i)
{
    size_t begin = *i;
    while (*i < n && is_capital(text[*i])) (*i)++;
    size_t n_capitals = *i - begin;
    if (n_capitals > 1) return parts_of(n_capitals, CAPITALS);
    while (*i < n && is_small(text[*i])) (*i)++;
    size_t n_letters = *i - begin;
    if (n_letters <= LETTERS_OF_FIRST) return 1;
    return 1 + parts_of(n_letters - LETTERS_OF_FIRST, LETTERS_OF_NEXT);
}

/* Whether a blank before it is part of its token: before digits and other scripts it is often one
 * of its own. */
static bool takes_blank(const char *text, size_t n, size_t i)
{
    if (i >= n) return false;
    unsigned char c = (unsigned char)text[i];
    return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9');
}

static size_t take_white_space(const char *text, size_t n, size_t *i)
{
    size_t n_blanks = 0, n_lines = 0;
    for (; *i < n; (*i)++) {
        if (text[*i] == ' ' || text[*i] == '\t' || text[*i] == '\r')
            n_blanks++;
        else if (text[*i] == '\n')
            n_lines++;
        else
            break;
    }
    if (n_lines == 0 && n_blanks == 1 && takes_blank(text, n, *i)) return 0;
    return parts_of(n_blanks, BLANKS_OF_TOKEN) + parts_of(n_lines, LINES_OF_TOKEN);
}

/* One code point: by its bytes, the fallback of a tokenizer that does not know it. */
static size_t take_sign(const char *text, size_t n, size_t *i)
{
    size_t begin = *i;
    (void)utf8_next(text, n, i);
    size_t n_bytes = *i - begin;
    return n_bytes <= 2 ? 1 : n_bytes - 1;
}

size_t token_ceiling(const char *text, size_t n)
{
    size_t n_tokens = 0;
    for (size_t i = 0; i < n;) {
        char c = text[i];
        if (is_capital(c) || is_small(c))
            n_tokens += take_word(text, n, &i);
        else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            n_tokens += take_white_space(text, n, &i);
        else
            n_tokens += take_sign(text, n, &i);
    }
    return n_tokens;
}
