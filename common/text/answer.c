#include "common/text/answer.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/answer_label.h"
#include "common/text/arithmetic.h"
#include "common/text/utf8.h"

const char *parse_status_name(parse_status status)
{
    static const char *const names[] = {
#define X(code, name) [code] = (name),
        PARSE_STATUS_LIST(X)
#undef X
    };
    if ((size_t)status >= RT_COUNT(names)) return "unknown";
    return names[status];
}

void parsed_answer_free(parsed_answer *answer)
{
    if (answer == NULL) return;
    free(answer->label);
    free(answer->rationale);
    *answer = (parsed_answer){0};
}

/* Cut `text` at the first of the stop marks; true when there was one. */
static bool cut_at_stop(const answer_rules *rules, span *text)
{
    bool found = false;
    for (size_t i = 0; i < rules->n_stop_marks; i++) {
        span mark = span_of(rules->stop_marks[i]);
        if (mark.n == 0 || text->n == 0) continue;
        const char *at = memmem(text->p, text->n, mark.p, mark.n);
        if (at == NULL) continue;
        text->n = (size_t)(at - text->p);
        found = true;
    }
    return found;
}

typedef struct marker_hits {
    size_t n;
    size_t begin, end; /* of the last one */
} marker_hits;

/* Scan from left to right, the longest marker at each place, without overlap: with the markers
 * "So the answer is" and "the answer is" one answer counts once, and "So" is no rationale. */
static marker_hits find_markers(const answer_rules *rules, span text, bool fold)
{
    marker_hits hits = {0};
    for (size_t i = 0; i < text.n;) {
        span rest = {.p = text.p + i, .n = text.n - i};
        size_t n_best = 0;
        for (size_t k = 0; k < rules->n_markers; k++) {
            span marker = span_of(rules->markers[k]);
            if (marker.n <= n_best || rest.n < marker.n) continue;
            bool is_here =
                fold ? span_starts_fold(rest, marker) : memcmp(rest.p, marker.p, marker.n) == 0;
            if (is_here) n_best = marker.n;
        }
        if (n_best > 0) {
            hits.n++;
            hits.begin = i;
            hits.end = i + n_best;
        }
        i += n_best > 0 ? n_best : 1;
    }
    return hits;
}

static bool has_markers(const answer_rules *rules)
{
    for (size_t i = 0; i < rules->n_markers; i++)
        if (rules->markers[i][0] != '\0') return true;
    return false;
}

/* The label's line: the first that is not blank, without a colon left over from the marker. */
static span label_line(span s)
{
    s = span_trim(s);
    if (s.n > 0 && s.p[0] == ':') s = span_trim((span){.p = s.p + 1, .n = s.n - 1});
    const char *end = s.n > 0 ? memchr(s.p, '\n', s.n) : NULL;
    if (end != NULL) s.n = (size_t)(end - s.p);
    return s;
}

static rt_status keep_rationale(parsed_answer *answer, span text, rt_error *err)
{
    text = span_trim(text);
    if (text.n == 0) return RT_OK;
    answer->rationale = rt_strndup(text.p, text.n);
    return answer->rationale != NULL ? RT_OK : rt_fail(err, RT_NOMEM, "rationale");
}

/* Behind the marker, or (without markers) the whole text. */
static rt_status read_label(const answer_rules *rules, const char *input, span text, span region,
                            bool is_whole, label_text *from, parsed_answer *answer, rt_error *err)
{
    label_result result = {0};
    bool keeps_lines = rules->kind == RULE_TEXT && is_whole;
    from->text = keeps_lines ? span_trim(region) : label_line(region);
    /* Only white space may follow for the label to be the last thing that the model wrote. */
    const char *end = from->text.p + from->text.n;
    span behind = span_trim((span){.p = end, .n = (size_t)(text.p + text.n - end)});
    if (behind.n > 0) from->open_end = false;
    /* A final stop closes the label; it is no part of it. */
    if (rules->kind == RULE_TEXT && !keeps_lines) {
        span bare = span_trim_stop(from->text);
        if (bare.n < span_trim(from->text).n) from->open_end = false;
        from->text = bare;
    }
    rt_status st = label_read(rules, input, from, &result, err);
    if (st != RT_OK) return st;
    answer->status = result.status;
    answer->flags |= result.flags;
    answer->label = result.label;
    return RT_OK;
}

static rt_status parse_text(const answer_rules *rules, const char *input, span raw, bool truncated,
                            parsed_answer *answer, rt_error *err)
{
    span text = raw;
    label_text from = {.lenient = rules->lenient, .truncated = truncated, .open_end = true};
    marker_hits hits = {0};
    rt_status st;
    if (cut_at_stop(rules, &text)) {
        answer->flags |= PARSE_FLAG_RUN_ON;
        from.open_end = false; /* the model had finished and gone on */
    }
    if (span_trim(text).n == 0) {
        answer->status = PARSE_EMPTY;
        return RT_OK;
    }
    bool is_whole = !has_markers(rules);
    if (!is_whole) {
        hits = find_markers(rules, text, false);
        if (hits.n == 0) hits = find_markers(rules, text, true);
        if (hits.n == 0) {
            answer->status = truncated && from.open_end ? PARSE_TRUNCATED : PARSE_NO_MARKER;
            return keep_rationale(answer, text, err);
        }
        if (hits.n > 1) answer->flags |= PARSE_FLAG_MULTI_MARKER;
        st = keep_rationale(answer, (span){.p = text.p, .n = hits.begin}, err);
        if (st != RT_OK) return st;
    }
    span region = {.p = text.p + hits.end, .n = text.n - hits.end};
    st = read_label(rules, input, text, region, is_whole, &from, answer, err);
    if (st == RT_OK && answer->status == PARSE_OK && answer->rationale == NULL)
        answer->flags |= PARSE_FLAG_NO_RATIONALE;
    return st;
}

/* Valid UTF-8 without zero bytes, so that label and rationale are C strings and fit into JSON. */
static rt_status clean_text(const char *raw, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = utf8_repair(raw, n, out, err);
    for (size_t i = 0; st == RT_OK && i < out->n; i++)
        if (out->data[i] == '\0') out->data[i] = ' ';
    return st;
}

rt_status answer_parse(const answer_rules *rules, const char *input, const char *raw, size_t n,
                       bool truncated, parsed_answer *out, rt_error *err)
{
    rt_buf clean = {0};
    parsed_answer answer = {0};
    rt_status st = clean_text(raw, n, &clean, err);
    if (st == RT_OK)
        st = parse_text(rules, input, (span){.p = clean.data, .n = clean.n}, truncated, &answer,
                        err);
    if (st == RT_OK) {
        *out = answer;
        answer = (parsed_answer){0};
    }
    parsed_answer_free(&answer);
    rt_buf_free(&clean);
    return st;
}

rt_status answer_canonical(const answer_rules *rules, const char *input, const char *label,
                           parse_status *status, char **out, rt_error *err)
{
    rt_buf clean = {0};
    label_result result = {0};
    label_text from = {.lenient = true};
    rt_status st = clean_text(label, strlen(label), &clean, err);
    if (st == RT_OK) {
        from.text = span_trim((span){.p = clean.data, .n = clean.n});
        st = label_read(rules, input, &from, &result, err);
    }
    if (st == RT_OK) {
        *status = result.status;
        *out = result.label;
    }
    rt_buf_free(&clean);
    return st;
}

size_t answer_n_labels(const answer_rules *rules, const char *input)
{
    choice choices[CHOICES_MAX];
    if (rules->kind == RULE_CLASS) return rules->n_classes;
    return rules->kind == RULE_CHOICE ? choices_read(input, choices) : 0;
}

bool answer_equal(const answer_rules *rules, const char *a, const char *b)
{
    span s = span_trim(span_of(a)), t = span_trim(span_of(b));
    double x, y;
    switch (rules->kind) {
    case RULE_NUMBER:
    case RULE_EQUATION:
        return arithmetic_evaluate(s.p, s.n, &x, NULL) == RT_OK &&
               arithmetic_evaluate(t.p, t.n, &y, NULL) == RT_OK && arithmetic_equal(x, y);
    case RULE_CHOICE:
    case RULE_CLASS: return span_equal_fold(s, t);
    case RULE_TEXT: break;
    }
    return span_equal(s, t);
}
