#include "common/text/answer_label.h"

#include <ctype.h>
#include <string.h>

#include "common/text/utf8.h"

span span_of(const char *text)
{
    return (span){.p = text, .n = strlen(text)};
}

span span_trim(span s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1])) s.n--;
    return s;
}

span span_trim_stop(span s)
{
    s = span_trim(s);
    if (s.n >= 3 && memcmp(s.p + s.n - 3, "\xE3\x80\x82", 3) == 0)
        s.n -= 3;
    else if (s.n > 0 && s.p[s.n - 1] == '.')
        s.n--;
    return span_trim(s);
}

bool span_equal(span a, span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_starts_fold(span s, span prefix)
{
    if (s.n < prefix.n) return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (tolower((unsigned char)s.p[i]) != tolower((unsigned char)prefix.p[i])) return false;
    return true;
}

bool span_equal_fold(span a, span b)
{
    return a.n == b.n && span_starts_fold(a, b);
}

span span_sentence(span s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_mark = s.p[i] == '.' || s.p[i] == '?' || s.p[i] == '!';
        bool ends = i + 1 == s.n || isspace((unsigned char)s.p[i + 1]);
        bool is_ideographic = s.n - i >= 3 && memcmp(s.p + i, "\xE3\x80\x82", 3) == 0;
        if ((is_mark && ends) || is_ideographic) return (span){.p = s.p, .n = i};
    }
    return s;
}

rt_status label_accept(span label, unsigned flags, label_result *out, rt_error *err)
{
    /* A choice is taken out of the input, which nobody has promised to be valid UTF-8. */
    rt_buf copy = {0};
    rt_status st = utf8_repair(label.p, label.n, &copy, err);
    if (st == RT_OK)
        *out = (label_result){.status = PARSE_OK, .flags = flags, .label = copy.data};
    else
        rt_buf_free(&copy);
    return st;
}

rt_status label_read(const answer_rules *rules, const char *input, const label_text *from,
                     label_result *out, rt_error *err)
{
    bool is_cut = from->open_end && from->truncated;
    if (span_trim(from->text).n == 0) {
        *out = (label_result){.status = is_cut ? PARSE_TRUNCATED : PARSE_EMPTY_LABEL};
        return RT_OK;
    }
    switch (rules->kind) {
    case RULE_NUMBER: return label_read_number(from, out, err);
    case RULE_EQUATION: return label_read_equation(from, out, err);
    case RULE_CLASS: return label_read_class(rules, from, out, err);
    case RULE_CHOICE: return label_read_choice(input, from, out, err);
    case RULE_TEXT: break;
    }
    if (is_cut) {
        *out = (label_result){.status = PARSE_TRUNCATED};
        return RT_OK;
    }
    return label_accept(span_trim(from->text), 0, out, err);
}
