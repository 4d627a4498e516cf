/* Labels with a value: numbers and equations. */
#include <ctype.h>
#include <string.h>

#include "common/text/answer_label.h"
#include "common/text/arithmetic.h"

#define NUMBER_BYTES_MAX 64

/* A digit, '.', ',' or '-' at s[i], also in full width; else 0. */
static char number_char(span s, size_t i, size_t *n_bytes)
{
    static const struct {
        const char *bytes;
        char c;
    } wide[] = {
        {"\xEF\xBC\x8E", '.'}, {"\xEF\xBC\x8C", ','}, {"\xEF\xBC\x8D", '-'}, {"\xE2\x88\x92", '-'}};
    *n_bytes = 1;
    if (i >= s.n) return 0;
    if (isdigit((unsigned char)s.p[i]) || (s.p[i] != '\0' && strchr(".,-", s.p[i]) != NULL))
        return s.p[i];
    *n_bytes = 3;
    if (s.n - i < 3) return 0;
    const unsigned char *p = (const unsigned char *)s.p + i;
    if (p[0] == 0xEF && p[1] == 0xBC && p[2] >= 0x90 && p[2] <= 0x99)
        return (char)('0' + p[2] - 0x90);
    for (size_t k = 0; k < RT_COUNT(wide); k++)
        if (memcmp(p, wide[k].bytes, 3) == 0) return wide[k].c;
    return 0;
}

static bool is_digit_at(span s, size_t i)
{
    size_t n_bytes;
    return isdigit((unsigned char)number_char(s, i, &n_bytes)) != 0;
}

/* Whether s[i] begins a number: a digit, or a point before one; not inside a word such as A12. */
static bool begins_number(span s, size_t i)
{
    size_t n_bytes;
    char c = number_char(s, i, &n_bytes);
    if (i > 0 && (isalnum((unsigned char)s.p[i - 1]) || s.p[i - 1] == '_')) return false;
    return isdigit((unsigned char)c) || (c == '.' && is_digit_at(s, i + n_bytes));
}

/* Read the digits at s[*i]: commas between them are dropped, one point is kept. */
static size_t copy_number(span s, size_t *i, char digits[NUMBER_BYTES_MAX])
{
    size_t n = 0, n_bytes;
    bool has_point = false;
    for (;;) {
        char c = number_char(s, *i, &n_bytes);
        bool before_digit = is_digit_at(s, *i + n_bytes);
        if (c == ',' && before_digit && !has_point) {
            *i += n_bytes;
            continue;
        }
        if (c == '.' && before_digit && !has_point)
            has_point = true;
        else if (!isdigit((unsigned char)c))
            break;
        if (n < NUMBER_BYTES_MAX) digits[n] = c;
        n++;
        *i += n_bytes;
    }
    return n;
}

/* "007" and "1.50" to "7" and "1.5": equal values look equal. */
static span tidy_number(char *digits, size_t n, bool is_negative, char out[NUMBER_BYTES_MAX + 3])
{
    size_t start = 0, k = 0;
    if (memchr(digits, '.', n) != NULL) {
        while (n > 0 && digits[n - 1] == '0') n--;
        if (n > 0 && digits[n - 1] == '.') n--;
    }
    while (start + 1 < n && digits[start] == '0' && digits[start + 1] != '.') start++;
    bool is_zero = n == 0 || (n - start == 1 && digits[start] == '0');
    if (is_negative && !is_zero) out[k++] = '-';
    if (n == start || digits[start] == '.') out[k++] = '0';
    memcpy(out + k, digits + start, n - start);
    return (span){.p = out, .n = k + n - start};
}

/* A minus before the number at s[i], perhaps with a currency sign between: "-$5". A hyphen behind
 * a word or digit joins instead ("option-5"). */
static bool has_minus_before(span s, size_t i)
{
    while (i > 0 && (s.p[i - 1] == '$' || (unsigned char)s.p[i - 1] >= 0x80)) {
        if (i >= 3 && (memcmp(s.p + i - 3, "\xE2\x88\x92", 3) == 0 ||
                       memcmp(s.p + i - 3, "\xEF\xBC\x8D", 3) == 0))
            return true;
        i--;
    }
    return i > 0 && s.p[i - 1] == '-' && (i == 1 || !isalnum((unsigned char)s.p[i - 2]));
}

rt_status label_read_number(const label_text *from, label_result *out, rt_error *err)
{
    char digits[NUMBER_BYTES_MAX], tidy[NUMBER_BYTES_MAX + 3];
    span text = span_trim(from->text);
    const char *equals = memrchr(text.p, '=', text.n); /* "12 * 3 = 36": the result */
    size_t i = equals == NULL ? 0 : (size_t)(equals - text.p) + 1;
    *out = (label_result){.status = PARSE_BAD_LABEL};
    while (i < text.n && !begins_number(text, i)) i++;
    if (i >= text.n) {
        if (from->open_end && from->truncated) out->status = PARSE_TRUNCATED;
        return RT_OK;
    }
    bool is_negative = has_minus_before(text, i);
    size_t n = copy_number(text, &i, digits);
    if (n > NUMBER_BYTES_MAX) return RT_OK;
    /* "3/4" is a value of its own and not 3. */
    if (i + 1 < text.n && text.p[i] == '/' && is_digit_at(text, i + 1)) return RT_OK;
    if (i == text.n && from->open_end && from->truncated) {
        out->status = PARSE_TRUNCATED; /* further digits may have been due */
        return RT_OK;
    }
    return label_accept(tidy_number(digits, n, is_negative, tidy), 0, out, err);
}

static bool is_operand_char(char c)
{
    return isdigit((unsigned char)c) || c == '(' || c == ')';
}

static bool has_any(span s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\0' && strchr(set, s.p[i]) != NULL) return true;
    return false;
}

/* The expression without words around it: "(84 / 2) apples" gives "(84 / 2)". False when what is
 * around may belong to the arithmetic ("x + 5", "7x"), for then the rest is not the answer. */
static bool find_expression(span s, span *out)
{
    size_t begin = 0, end = s.n;
    while (begin < s.n && !is_operand_char(s.p[begin]) && s.p[begin] != '-' && s.p[begin] != '.' &&
           s.p[begin] != '$')
        begin++;
    while (end > begin && !is_operand_char(s.p[end - 1])) end--;
    if (begin >= end) return false;
    span head = span_trim((span){.p = s.p, .n = begin});
    span tail = {.p = s.p + end, .n = s.n - end};
    if (has_any(head, "+-*/=") || (head.n > 0 && s.p[begin] == '-')) return false;
    if (has_any(tail, "+-*/=%^") || (tail.n > 0 && isalpha((unsigned char)tail.p[0]))) return false;
    tail = span_trim(tail);
    if (tail.n == 1 && isalpha((unsigned char)tail.p[0])) return false;
    *out = (span){.p = s.p + begin, .n = end - begin};
    return true;
}

/* Cut short: parentheses left open, or an operator with nothing behind it. */
static bool is_unfinished(span s)
{
    long n_open = 0;
    for (size_t i = 0; i < s.n; i++) n_open += (s.p[i] == '(') - (s.p[i] == ')');
    return n_open > 0 || (s.n > 0 && s.p[s.n - 1] != '\0' && strchr("+-*/", s.p[s.n - 1]) != NULL);
}

/* The reference keeps what lies between the first and the last parenthesis and drops the rest, so
 * "(12 - 2) - 7" becomes (12 - 2). */
static bool is_whole_to_reference(span expression)
{
    if (memchr(expression.p, '(', expression.n) == NULL) return true;
    return expression.p[0] == '(' && expression.p[expression.n - 1] == ')';
}

static rt_status accept_expression(span s, label_result *out, rt_error *err)
{
    rt_buf tidy = {0};
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < s.n; i++) {
        bool is_space = isspace((unsigned char)s.p[i]) != 0;
        if (is_space && tidy.n > 0 && tidy.data[tidy.n - 1] == ' ') continue;
        st = rt_buf_add(&tidy, is_space ? " " : s.p + i, 1, err);
    }
    if (st == RT_OK) st = label_accept((span){.p = tidy.data, .n = tidy.n}, 0, out, err);
    rt_buf_free(&tidy);
    return st;
}

rt_status label_read_equation(const label_text *from, label_result *out, rt_error *err)
{
    span line = span_trim(from->text);
    span text = span_trim(span_sentence(line));
    bool runs_to_end = from->open_end && text.n == line.n;
    span expression;
    double value;
    if (runs_to_end && is_unfinished(text)) {
        *out = (label_result){.status = PARSE_TRUNCATED};
        return RT_OK;
    }
    *out = (label_result){.status = PARSE_BAD_EQUATION};
    if (!find_expression(text, &expression)) return RT_OK;
    if (arithmetic_evaluate(expression.p, expression.n, &value, NULL) != RT_OK) return RT_OK;
    if (runs_to_end && from->truncated) {
        out->status = PARSE_TRUNCATED; /* "(84 / 2)" may have gone on with "* 3" */
        return RT_OK;
    }
    if (!from->lenient && !is_whole_to_reference(expression)) return RT_OK;
    return accept_expression(expression, out, err);
}
