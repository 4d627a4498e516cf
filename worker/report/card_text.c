/* The pure parts of the cards. */
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"
#include "worker/report/cards.h"

const char *card_run_text(const json_t *data, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(data, "run"), key));
    return text != NULL ? text : "";
}

const char *card_task_category(const config *c)
{
    if (c != NULL && c->task.answer == ANSWER_CLASS) return "text-classification";
    if (c != NULL && c->task.answer == ANSWER_CHOICE) return "multiple-choice";
    return "text-generation";
}

/* Where a line of this text begins, at or after `from`; SIZE_MAX when there is none. */
static size_t find_line(const rt_buf *text, size_t from, const char *line)
{
    size_t n = strlen(line);
    for (size_t at = from; at < text->n;) {
        const char *end = memchr(text->data + at, '\n', text->n - at);
        size_t n_line = end != NULL ? (size_t)(end - text->data) - at : text->n - at;
        if (n_line == n && memcmp(text->data + at, line, n) == 0) return at;
        at += n_line + 1;
    }
    return SIZE_MAX;
}

rt_status card_fill(const rt_buf *card, const char *begin, const char *end, const char *content,
                    rt_buf *out, bool *found, rt_error *err)
{
    size_t from = find_line(card, 0, begin), to = SIZE_MAX;
    if (from != SIZE_MAX) to = find_line(card, from + strlen(begin) + 1, end);
    *found = to != SIZE_MAX;
    if (!*found) return RT_OK;
    rt_status st = rt_buf_add(out, card->data, from + strlen(begin) + 1, err);
    if (st == RT_OK) st = rt_buf_add_text(out, content, err);
    return st == RT_OK ? rt_buf_add(out, card->data + to, card->n - to, err) : st;
}

rt_status yaml_quote(const char *text, rt_buf *out, rt_error *err)
{
    rt_buf good = {0};
    rt_status st = utf8_repair(text, strlen(text), &good, err);
    json_t *value = st == RT_OK ? json_stringn(good.data != NULL ? good.data : "", good.n) : NULL;
    char *quoted = json_dumps(value, JSON_ENCODE_ANY);
    if (st == RT_OK && quoted == NULL) st = rt_fail(err, RT_NOMEM, "text of a card");
    if (st == RT_OK) st = rt_buf_add_text(out, quoted, err);
    free(quoted);
    json_decref(value);
    rt_buf_free(&good);
    return st;
}
