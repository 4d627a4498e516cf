/* Recursive descent over
 *
 *     expression = term { ("+" | "-") term }
 *     term       = factor { ("*" | "/" | "x" | times | divide) factor }
 *     factor     = { "+" | "-" } ( "(" expression ")" | [currency] number )
 *     number     = digits [ "." [ digits ] ] | "." digits      with commas between thousands
 *
 * Times, divide and minus are also understood as their typographic characters. Depth counts open
 * parentheses, so the stack is bounded; a run of signs is a loop.
 */
#include "common/text/arithmetic.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 400 /* more digits than any finite double needs */

typedef struct parser {
    const char *text;
    size_t n;
    size_t i;
    unsigned depth;
    rt_error *err;
} parser;

static size_t column_of(const parser *p, size_t i)
{
    size_t column = 1;
    for (size_t k = 0; k < i; k++)
        if (((unsigned char)p->text[k] & 0xC0) != 0x80) column++;
    return column;
}

static rt_status refuse(const parser *p, size_t i, const char *why)
{
    return rt_fail(p->err, RT_INVALID, "arithmetic, column %zu: %s", column_of(p, i), why);
}

static void skip_space(parser *p)
{
    while (p->i < p->n && isspace((unsigned char)p->text[p->i])) p->i++;
}

static bool take(parser *p, const char *token)
{
    size_t n = strlen(token);
    if (p->n - p->i < n || memcmp(p->text + p->i, token, n) != 0) return false;
    p->i += n;
    return true;
}

static bool take_any(parser *p, const char *const *tokens, size_t n_tokens)
{
    skip_space(p);
    for (size_t i = 0; i < n_tokens; i++)
        if (take(p, tokens[i])) return true;
    return false;
}

static bool take_plus(parser *p)
{
    static const char *const tokens[] = {"+", "\xEF\xBC\x8B"};
    return take_any(p, tokens, RT_COUNT(tokens));
}

static bool take_minus(parser *p)
{
    /* hyphen, minus sign, en dash, full-width hyphen */
    static const char *const tokens[] = {"-", "\xE2\x88\x92", "\xE2\x80\x93", "\xEF\xBC\x8D"};
    return take_any(p, tokens, RT_COUNT(tokens));
}

static bool take_times(parser *p)
{
    static const char *const tokens[] = {"*", "x", "X", "\xC3\x97", "\xEF\xBC\x8A"};
    return take_any(p, tokens, RT_COUNT(tokens));
}

static bool take_divide(parser *p)
{
    static const char *const tokens[] = {"/", "\xC3\xB7", "\xEF\xBC\x8F"};
    return take_any(p, tokens, RT_COUNT(tokens));
}

static void skip_currency(parser *p)
{
    static const char *const tokens[] = {"$", "\xC2\xA3", "\xC2\xA5", "\xE2\x82\xAC",
                                         "\xEF\xBF\xA5"};
    if (take_any(p, tokens, RT_COUNT(tokens))) skip_space(p);
}

/* The ASCII form of a digit, point or comma here, of one or (full width) three bytes; else 0. */
static char number_char(const parser *p, size_t i, size_t *n_bytes)
{
    if (i >= p->n) return 0;
    unsigned char c = (unsigned char)p->text[i];
    *n_bytes = 1;
    if (isdigit(c) || c == '.' || c == ',') return (char)c;
    if (c != 0xEF || p->n - i < 3 || (unsigned char)p->text[i + 1] != 0xBC) return 0;
    unsigned char last = (unsigned char)p->text[i + 2];
    *n_bytes = 3;
    if (last >= 0x90 && last <= 0x99) return (char)('0' + last - 0x90);
    if (last == 0x8E) return '.';
    return last == 0x8C ? ',' : 0;
}

/* A comma belongs to the number only when exactly three digits follow it. */
static bool is_thousands(const parser *p, size_t i_comma)
{
    size_t n_bytes = 0, i = i_comma;
    number_char(p, i, &n_bytes);
    for (int k = 0; k < 3; k++) {
        i += n_bytes;
        if (!isdigit((unsigned char)number_char(p, i, &n_bytes))) return false;
    }
    i += n_bytes;
    return !isdigit((unsigned char)number_char(p, i, &n_bytes));
}

static rt_status parse_number(parser *p, double *out)
{
    char digits[NUMBER_BYTES_MAX + 1];
    size_t n = 0, n_bytes = 0, n_digits = 0, n_leading = 0, start = p->i;
    bool has_point = false, has_comma = false;
    for (;;) {
        char c = number_char(p, p->i, &n_bytes);
        if (c == 0) break;
        if (c == ',') {
            if (has_point || n_leading == 0 || n_leading > 3 || !is_thousands(p, p->i)) break;
            has_comma = true;
            p->i += n_bytes;
            continue;
        }
        if (c == '.') {
            if (has_point) break;
            has_point = true;
        } else {
            n_digits++;
            if (!has_point && !has_comma) n_leading++;
        }
        if (n == NUMBER_BYTES_MAX) return refuse(p, start, "number of too many digits");
        digits[n++] = c;
        p->i += n_bytes;
    }
    if (n_digits == 0) {
        p->i = start;
        return refuse(p, start, start < p->n ? "expected a number" : "ends where a number is due");
    }
    digits[n] = '\0';
    *out = strtod(digits, NULL);
    return RT_OK;
}

static rt_status parse_expression(parser *p, double *out);

static rt_status parse_factor(parser *p, double *out)
{
    double sign = 1.0, v = 0.0;
    for (;;) {
        if (take_minus(p))
            sign = -sign;
        else if (!take_plus(p))
            break;
    }
    skip_currency(p);
    skip_space(p);
    size_t open = p->i;
    rt_status st;
    if (take(p, "(") || take(p, "\xEF\xBC\x88")) {
        if (++p->depth > ARITHMETIC_DEPTH_MAX)
            return refuse(p, open, "too many nested parentheses");
        if ((st = parse_expression(p, &v)) != RT_OK) return st;
        skip_space(p);
        if (!take(p, ")") && !take(p, "\xEF\xBC\x89"))
            return refuse(p, p->i, p->i < p->n ? "expected an operator or ')'" : "')' is missing");
        p->depth--;
    } else if ((st = parse_number(p, &v)) != RT_OK) {
        return st;
    }
    *out = sign * v;
    return RT_OK;
}

static rt_status parse_term(parser *p, double *out)
{
    double left = 0.0, right = 0.0;
    rt_status st = parse_factor(p, &left);
    while (st == RT_OK) {
        skip_space(p);
        size_t at = p->i;
        if (take_times(p)) {
            if ((st = parse_factor(p, &right)) == RT_OK) left *= right;
        } else if (take_divide(p)) {
            if ((st = parse_factor(p, &right)) != RT_OK) break;
            if (right == 0.0) return refuse(p, at, "division by zero");
            left /= right;
        } else {
            break;
        }
    }
    if (st == RT_OK) *out = left;
    return st;
}

static rt_status parse_expression(parser *p, double *out)
{
    double left = 0.0, right = 0.0;
    rt_status st = parse_term(p, &left);
    while (st == RT_OK) {
        if (take_plus(p)) {
            if ((st = parse_term(p, &right)) == RT_OK) left += right;
        } else if (take_minus(p)) {
            if ((st = parse_term(p, &right)) == RT_OK) left -= right;
        } else {
            break;
        }
    }
    if (st == RT_OK) *out = left;
    return st;
}

rt_status arithmetic_evaluate(const char *text, size_t n, double *out, rt_error *err)
{
    parser p = {.text = text, .n = n, .err = err};
    double v = 0.0;
    rt_status st = parse_expression(&p, &v);
    if (st != RT_OK) return st;
    skip_space(&p);
    if (p.i < n) return refuse(&p, p.i, "expected an operator or the end");
    if (!isfinite(v)) return refuse(&p, 0, "the value is not finite");
    *out = v;
    return RT_OK;
}

bool arithmetic_equal(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1.0, fmax(fabs(a), fabs(b)));
}
