/* Labels out of a closed set: classes of the task, and choices listed in the example. */
#include <ctype.h>
#include <string.h>

#include "common/text/answer_label.h"

/* Marks that language models put around an answer and that are no part of it. */
static span strip_marks(span s)
{
    static const char marks[] = "*_\"'`.,;:!()[]";
    s = span_trim(s);
    while (s.n > 0 && s.p[0] != '\0' && strchr(marks, s.p[0]) != NULL)
        s = span_trim((span){.p = s.p + 1, .n = s.n - 1});
    while (s.n > 0 && s.p[s.n - 1] != '\0' && strchr(marks, s.p[s.n - 1]) != NULL)
        s = span_trim((span){.p = s.p, .n = s.n - 1});
    return s;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '\'';
}

static bool ends_word(span s, size_t i)
{
    return i >= s.n || !is_word_char(s.p[i]);
}

bool span_has_word_at(span s, size_t i, span word)
{
    if (word.n == 0 || i + word.n > s.n || (i > 0 && is_word_char(s.p[i - 1]))) return false;
    return ends_word(s, i + word.n) && span_starts_fold((span){.p = s.p + i, .n = s.n - i}, word);
}

/* Whether `word` occurs in s from `start` on, between word ends. */
static bool contains_word(span s, size_t start, span word)
{
    for (size_t i = start; i < s.n; i++)
        if (span_has_word_at(s, i, word)) return true;
    return false;
}

static const char *class_equal(const answer_rules *rules, span s)
{
    for (size_t i = 0; i < rules->n_classes; i++)
        if (span_equal_fold(s, span_of(rules->classes[i]))) return rules->classes[i];
    return NULL;
}

/* "neutral because ...": the longest class at the start, when no other class follows. */
static const char *class_leading(const answer_rules *rules, span s)
{
    const char *best = NULL;
    for (size_t i = 0; i < rules->n_classes; i++) {
        span name = span_of(rules->classes[i]);
        if (name.n == 0 || !span_starts_fold(s, name) || !ends_word(s, name.n)) continue;
        if (best == NULL || name.n > strlen(best)) best = rules->classes[i];
    }
    for (size_t i = 0; best != NULL && i < rules->n_classes; i++)
        if (rules->classes[i] != best && contains_word(s, strlen(best), span_of(rules->classes[i])))
            return NULL;
    return best;
}

static bool class_begins_with(const answer_rules *rules, span s)
{
    for (size_t i = 0; i < rules->n_classes; i++) {
        span name = span_of(rules->classes[i]);
        if (s.n > 0 && s.n < name.n && span_starts_fold(name, s)) return true;
    }
    return false;
}

rt_status label_read_class(const answer_rules *rules, const label_text *from, label_result *out,
                           rt_error *err)
{
    span text = span_trim(from->text);
    span bare = strip_marks(text);
    /* A word that the model's text breaks off in may still grow into another class. */
    bool may_grow = from->open_end && bare.n > 0 && bare.p + bare.n == text.p + text.n &&
                    class_begins_with(rules, bare);
    const char *found = class_equal(rules, text);
    if (found == NULL) found = class_equal(rules, bare);
    if (found != NULL && !(may_grow && from->truncated))
        return label_accept(span_of(found), 0, out, err);
    if (may_grow) {
        *out = (label_result){.status = PARSE_TRUNCATED};
        return RT_OK;
    }
    found = class_leading(rules, strip_marks(span_sentence(bare)));
    if (found != NULL) return label_accept(span_of(found), 0, out, err);
    *out = (label_result){.status = PARSE_BAD_LABEL};
    return RT_OK;
}

/* "(a) text" or "a) text" or "a. text" at the start: its letter, and *rest behind it; else 0. */
static char leading_letter(span s, bool only_parenthesised, span *rest)
{
    size_t i = s.n > 0 && s.p[0] == '(' ? 1 : 0;
    if (s.n < i + 2 || !isalpha((unsigned char)s.p[i])) return 0;
    char end = s.p[i + 1];
    bool is_letter = i == 1 ? end == ')' : !only_parenthesised && (end == ')' || end == '.');
    if (is_letter && i == 0 && s.n > 2 && !isspace((unsigned char)s.p[2])) is_letter = false;
    if (!is_letter) return 0;
    *rest = span_trim((span){.p = s.p + i + 2, .n = s.n - i - 2});
    return (char)tolower((unsigned char)s.p[i]);
}

size_t choices_read(const char *input, choice choices[CHOICES_MAX])
{
    size_t n = 0;
    while (input != NULL && *input != '\0' && n < CHOICES_MAX) {
        span line = {.p = input, .n = strcspn(input, "\n")};
        input += line.n + (input[line.n] == '\n');
        choice c = {0};
        c.letter = leading_letter(span_trim(line), true, &c.text);
        if (c.letter != 0 && c.text.n > 0) choices[n++] = c;
    }
    return n;
}

/* "(b)" once more in the text: two answers were given, which is none. */
static bool names_letter(span s)
{
    for (size_t i = 0; i + 2 < s.n; i++)
        if (s.p[i] == '(' && isalpha((unsigned char)s.p[i + 1]) && s.p[i + 2] == ')') return true;
    return false;
}

/* The choice that `text` names in full; the one with `letter` among equals; NULL: none. */
static const choice *choice_named(const choice *choices, size_t n, span text, char letter,
                                  bool fold)
{
    const choice *found = NULL;
    text = span_trim_stop(text);
    for (size_t i = 0; i < n; i++) {
        span name = span_trim_stop(choices[i].text);
        bool is_equal = fold ? span_equal_fold(name, text) : span_equal(name, text);
        if (is_equal && (found == NULL || choices[i].letter == letter)) found = &choices[i];
    }
    return found;
}

/* The choice of this letter, when the text begins with the choice's own and then goes on. */
static const choice *choice_led(const choice *choices, size_t n, span text, char letter, bool fold)
{
    for (size_t i = 0; i < n; i++) {
        span name = span_trim_stop(choices[i].text);
        if (choices[i].letter != letter || text.n < name.n || !ends_word(text, name.n)) continue;
        span head = {.p = text.p, .n = name.n};
        if ((fold ? span_equal_fold(head, name) : span_equal(head, name)) && !names_letter(text))
            return &choices[i];
    }
    return NULL;
}

static const choice *choice_lettered(const choice *choices, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++)
        if (choices[i].letter == letter) return &choices[i];
    return NULL;
}

static bool choice_begins_with(const choice *choices, size_t n, span text)
{
    for (size_t i = 0; i < n; i++)
        if (text.n > 0 && text.n < choices[i].text.n && span_starts_fold(choices[i].text, text))
            return true;
    return false;
}

static span strip_quotes(span s)
{
    s = span_trim(s);
    while (s.n >= 2 && s.p[0] == s.p[s.n - 1] && strchr("*_\"'`", s.p[0]) != NULL && s.p[0] != '\0')
        s = span_trim((span){.p = s.p + 1, .n = s.n - 2});
    return s;
}

rt_status label_read_choice(const char *input, const label_text *from, label_result *out,
                            rt_error *err)
{
    choice choices[CHOICES_MAX];
    size_t n = choices_read(input, choices);
    span text = strip_quotes(span_trim(from->text));
    span rest = text;
    char letter = leading_letter(text, false, &rest);
    const choice *found = NULL;
    unsigned flags = 0;

    /* Without a letter first: a choice such as "a. m." must not lose its beginning. */
    found = choice_named(choices, n, text, 0, from->lenient);
    if (found == NULL && letter != 0) {
        rest = strip_quotes(rest);
        found = span_trim_stop(rest).n == 0 ? choice_lettered(choices, n, letter)
                                            : choice_named(choices, n, rest, letter, from->lenient);
        if (found == NULL) found = choice_led(choices, n, rest, letter, from->lenient);
        if (found != NULL && found->letter != letter) flags |= PARSE_FLAG_LETTER_MISMATCH;
    }
    span bare = strip_marks(text);
    if (found == NULL && bare.n == 1 && text.p[0] != '(')
        found = choice_lettered(choices, n, (char)tolower((unsigned char)bare.p[0]));
    bool may_grow = from->open_end &&
                    (choice_begins_with(choices, n, rest) || (text.n <= 2 && text.p[0] == '('));
    if (may_grow && (found == NULL || (from->truncated && rest.n > 0))) {
        *out = (label_result){.status = PARSE_TRUNCATED};
        return RT_OK;
    }
    if (found != NULL) return label_accept(found->text, flags, out, err);
    *out = (label_result){.status = PARSE_BAD_LABEL};
    return RT_OK;
}
