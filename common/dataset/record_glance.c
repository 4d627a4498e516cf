#include "common/dataset/record_glance.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/line_check.h"
#include "common/dataset/gold_use.h"

#define ID_HEAD "{\"id\":\""

/* Bytes of the line that are still to be read. */
typedef struct rest {
    const char *at, *end;
} rest;

typedef struct slice {
    const char *text; /* NULL: there is none */
    size_t n;
} slice;

static bool skip(rest *r, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n) != 0) return false;
    r->at += n;
    return true;
}

/* The string that begins here, as it is written, without its quotes. */
static bool take_string(rest *r, slice *out)
{
    if (!skip(r, "\"")) return false;
    const char *from = r->at, *p = from;
    while ((p = memchr(p, '"', (size_t)(r->end - p))) != NULL) {
        size_t n_slashes = 0;
        while (p - n_slashes > from && p[-1 - (ptrdiff_t)n_slashes] == '\\') n_slashes++;
        if (n_slashes % 2 == 0) break;
        p++;
    }
    if (p == NULL) return false;
    *out = (slice){from, (size_t)(p - from)};
    r->at = p + 1;
    return true;
}

static bool take_id(rest *r, rt_id *out)
{
    char hex[RT_ID_HEX_SIZE] = "";
    if (!skip(r, ID_HEAD) || r->end - r->at < RT_ID_HEX_SIZE) return false;
    memcpy(hex, r->at, RT_ID_HEX_SIZE - 1);
    r->at += RT_ID_HEX_SIZE - 1;
    return skip(r, "\"") && rt_id_from_hex(hex, out);
}

/* ,"key":"text" when it stands here. False only for what cannot be read. */
static bool take_member(rest *r, const char *key, slice *out)
{
    rest here = *r;
    if (!skip(&here, ",\"") || !skip(&here, key) || !skip(&here, "\":")) return true;
    if (!take_string(&here, out)) return false;
    *r = here;
    return true;
}

static bool equal(slice a, slice b)
{
    return a.n == b.n && memcmp(a.text, b.text, a.n) == 0;
}

/* Meta with tokens is parsed for them; what says that gold was used is left to others. */
static bool take_meta(slice meta, record_tokens *tokens)
{
    if (memmem(meta.text, meta.n, "\"gold\"", 6) != NULL) return false;
    if (memmem(meta.text, meta.n, "\"tokens\"", 8) == NULL) return true;
    char *text = rt_strndup(meta.text, meta.n);
    if (text == NULL) return false;
    record_tokens_add(tokens, text);
    free(text);
    return true;
}

bool record_glance_of_line(const char *line, size_t n, record_glance *out)
{
    size_t n_checked = 0;
    record_glance g = {0};
    slice input = {0}, label = {0}, rationale = {0}, gold = {0}, other = {0}, reason = {0};
    if (!line_check_holds(line, n, &n_checked)) return false;
    rest r = {line, line + n_checked};
    if (!take_id(&r, &g.id)) return false;
    if (!take_member(&r, "input", &input) || !take_member(&r, "label", &label) ||
        !take_member(&r, "rationale", &rationale) || !take_member(&r, "gold", &gold) ||
        !take_member(&r, "source_id", &other) || !take_member(&r, "reason", &reason) ||
        !take_member(&r, "raw", &other) || !take_member(&r, "topk", &other))
        return false;
    if (input.text == NULL || (label.text == NULL) == (reason.text == NULL)) return false;
    if (reason.text != NULL && memchr(reason.text, '\\', reason.n) != NULL) return false;
    if (skip(&r, ",\"meta\":")) {
        if (!take_meta((slice){r.at, (size_t)(r.end - r.at)}, &g.tokens)) return false;
        r.at = r.end;
    }
    if (r.at != r.end) return false;
    g.reason = reason.text;
    g.n_reason = reason.n;
    g.has_rationale = rationale.text != NULL;
    g.has_gold = gold.text != NULL;
    /* One writer, one way to write a text. */
    g.is_right = gold.text != NULL && label.text != NULL && equal(gold, label);
    *out = g;
    return true;
}

void record_glance_of_record(const label_record *r, record_glance *out)
{
    *out = (record_glance){.id = r->id,
                           .reason = r->reason,
                           .n_reason = r->reason == NULL ? 0 : strlen(r->reason),
                           .has_rationale = r->rationale != NULL,
                           .has_gold = r->gold != NULL,
                           .is_right = r->gold != NULL && r->label != NULL &&
                                       strcmp(r->gold, r->label) == 0 &&
                                       gold_use_of(r->meta) == GOLD_USE_NONE};
    record_tokens_add(&out->tokens, r->meta);
}
