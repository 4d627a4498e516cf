#include "common/text/answer_named.h"

#include <ctype.h>
#include <string.h>

#include "common/text/answer_label.h"
#include "common/text/arithmetic.h"

/* A stretch of text with a value, found from the end. */
typedef struct stated_value {
    bool found;
    size_t at; /* where it begins */
    double value;
} stated_value;

static bool is_number_char(char c)
{
    return isdigit((unsigned char)c) || c == '.' || c == ',';
}

/* The number that begins at s[i], a sign allowed. */
static bool read_number(span s, size_t i, double *out)
{
    size_t n = i < s.n && s.p[i] == '-' ? 1 : 0;
    while (i + n < s.n && is_number_char(s.p[i + n])) n++;
    while (n > 0 && (s.p[i + n - 1] == '.' || s.p[i + n - 1] == ',')) n--;
    return n > 0 && arithmetic_evaluate(s.p + i, n, out, NULL) == RT_OK;
}

static stated_value number_after_equals(span s)
{
    stated_value v = {0};
    const char *equals = s.n == 0 ? NULL : memrchr(s.p, '=', s.n);
    if (equals == NULL) return v;
    v.at = (size_t)(equals - s.p) + 1;
    while (v.at < s.n && (isspace((unsigned char)s.p[v.at]) || s.p[v.at] == '$')) v.at++;
    v.found = read_number(s, v.at, &v.value);
    return v;
}

/* An operator behind an operand, not the hyphen of "10-12" nor the stroke of "and/or". */
static bool is_operator_at(span s, size_t i)
{
    if (i == 0 || i + 1 >= s.n || (s.p[i] == '-' && (s.p[i - 1] != ' ' || s.p[i + 1] != ' ')))
        return false;
    if (s.p[i] == '\0' || strchr("+-*/", s.p[i]) == NULL) return false;
    while (i > 0 && s.p[i - 1] == ' ') i--;
    return i > 0 && (isdigit((unsigned char)s.p[i - 1]) || s.p[i - 1] == ')');
}

static bool is_expression_char(char c)
{
    return is_number_char(c) || (c != '\0' && strchr(" ()+-*/", c) != NULL);
}

static span trim_expression(span s)
{
    s = span_trim(s);
    while (s.n > 0 && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ','))
        s = span_trim((span){.p = s.p, .n = s.n - 1});
    while (s.n > 0 && (s.p[0] == '.' || s.p[0] == ','))
        s = span_trim((span){.p = s.p + 1, .n = s.n - 1});
    return s;
}

static stated_value last_expression(span s)
{
    stated_value v = {0};
    for (size_t end = s.n; end > 0;) {
        size_t begin = end;
        bool has_operator = false;
        while (begin > 0 && is_expression_char(s.p[begin - 1])) {
            begin--;
            has_operator = has_operator || is_operator_at(s, begin);
        }
        if (has_operator) {
            span run = trim_expression((span){.p = s.p + begin, .n = end - begin});
            v.at = begin;
            v.found = run.n > 0 && arithmetic_evaluate(run.p, run.n, &v.value, NULL) == RT_OK;
            return v;
        }
        end = begin == end ? end - 1 : begin;
    }
    return v;
}

static stated_value last_number(span s)
{
    stated_value v = {0};
    size_t i = s.n;
    while (i > 0 && !isdigit((unsigned char)s.p[i - 1])) i--;
    if (i == 0) return v;
    while (i > 0 && is_number_char(s.p[i - 1])) i--;
    if (i > 0 && s.p[i - 1] == '-' && (i == 1 || isspace((unsigned char)s.p[i - 2]))) i--;
    v.at = i;
    v.found = read_number(s, i, &v.value);
    return v;
}

static named_label name_value(const answer_rules *rules, span text, const char *label)
{
    double expected;
    stated_value result = number_after_equals(text);
    stated_value expression = last_expression(text);
    stated_value last = result;
    if (expression.found && (!result.found || expression.at > result.at)) last = expression;
    if (!last.found && rules->kind == RULE_NUMBER) last = last_number(text);
    if (!last.found || arithmetic_evaluate(label, strlen(label), &expected, NULL) != RT_OK)
        return NAMED_NONE;
    return arithmetic_equal(last.value, expected) ? NAMED_SAME : NAMED_OTHER;
}

/* The last of several names; longest among those that end together. */
typedef struct last_name {
    span name; /* as the label would be written */
    size_t end, n;
} last_name;

static void meet_name(last_name *last, span name, size_t i, size_t n)
{
    if (i + n < last->end || (i + n == last->end && n <= last->n)) return;
    *last = (last_name){.name = name, .end = i + n, .n = n};
}

static void meet_choices(last_name *last, const choice *choices, size_t n, span text, size_t i)
{
    char letter = 0;
    if (i + 2 < text.n && text.p[i] == '(' && text.p[i + 2] == ')')
        letter = (char)tolower((unsigned char)text.p[i + 1]);
    for (size_t k = 0; k < n; k++) {
        span name = span_trim_stop(choices[k].text);
        if (letter != 0 && choices[k].letter == letter) meet_name(last, choices[k].text, i, 3);
        if (span_has_word_at(text, i, name)) meet_name(last, choices[k].text, i, name.n);
    }
}

/* Where the last sentence begins. */
static size_t last_sentence(span text)
{
    size_t begin = 0;
    for (size_t i = 0; i < text.n;) {
        span rest = {.p = text.p + i, .n = text.n - i};
        if (span_trim(rest).n > 0) begin = i;
        span sentence = span_sentence(rest);
        i += sentence.n + 1;
    }
    return begin;
}

/* Names in order of their ends; whether `label` is one of them from `begin` on. */
static bool meet_names(const answer_rules *rules, const char *input, span text, size_t begin,
                       const char *label, last_name *last)
{
    choice choices[CHOICES_MAX];
    size_t n = rules->kind == RULE_CHOICE ? choices_read(input, choices) : 0;
    size_t n_classes = rules->kind == RULE_CLASS ? rules->n_classes : 0;
    span wanted = span_trim_stop(span_of(label));
    bool met = false;
    for (size_t i = 0; i < text.n; i++) {
        meet_choices(last, choices, n, text, i);
        for (size_t k = 0; k < n_classes; k++) {
            span name = span_of(rules->classes[k]);
            if (span_has_word_at(text, i, name)) meet_name(last, name, i, name.n);
        }
        if (i >= begin && last->n > 0 && last->end > i)
            met = met || span_equal_fold(span_trim_stop(last->name), wanted);
    }
    return met;
}

static named_label name_text(const answer_rules *rules, const char *input, span text,
                             const char *label)
{
    last_name last = {0};
    bool is_met = meet_names(rules, input, text, last_sentence(text), label, &last);
    if (last.n == 0) return NAMED_NONE;
    bool is_last = span_equal_fold(span_trim_stop(last.name), span_trim_stop(span_of(label)));
    return is_met || is_last ? NAMED_SAME : NAMED_OTHER;
}

named_label answer_named_last(const answer_rules *rules, const char *input, const char *text,
                              const char *label)
{
    switch (rules->kind) {
    case RULE_NUMBER:
    case RULE_EQUATION: return name_value(rules, span_of(text), label);
    case RULE_CHOICE:
    case RULE_CLASS: return name_text(rules, input, span_of(text), label);
    case RULE_TEXT: break;
    }
    return NAMED_NONE;
}
