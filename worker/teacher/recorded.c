/*     row -> key (trimmed, 128-bit hash) -> place in `keys` -> chains[place] -> spans -> `texts`
 *
 * The spans of one key are a list through span.next, in the order of their rows: its samples.
 *
 * Rejected: texts in memory (a large teacher's output for a million rows does not fit beside a
 * model), and offsets into the source files (they may be compressed).
 */
#include "worker/teacher/recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/id_index.h"
#include "common/base/log.h"
#include "common/corpus/row_reader.h"
#include "worker/teacher/backend.h"

#define WRITE_BUFFER_BYTES ((size_t)256 << 10)

typedef struct span {
    uint64_t offset;
    uint32_t n_bytes;
    bool truncated;
    uint32_t next; /* 1 + the next span of the same key; 0: none */
} span;

/* Spans of one key. */
typedef struct chain {
    uint32_t first, last, n;
} chain;

struct recorded {
    id_index keys;
    chain *chains; /* by place in keys */
    size_t n_chains_max;
    span *spans;
    size_t n_spans, n_spans_max;
    size_t samples_max;
    FILE *texts;
    rt_buf pending; /* not yet written to texts */
    uint64_t n_written;
    recorded_counts counts;
};

void recorded_close(recorded *r)
{
    if (r == NULL) return;
    id_index_free(&r->keys);
    free(r->chains);
    free(r->spans);
    if (r->texts != NULL) fclose(r->texts);
    rt_buf_free(&r->pending);
    free(r);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static rt_id key_of(const char *key, size_t n)
{
    while (n > 0 && is_space(key[n - 1])) n--;
    while (n > 0 && is_space(key[0])) {
        key++;
        n--;
    }
    return rt_id_of(key, n);
}

static rt_status flush_pending(recorded *r, rt_error *err)
{
    rt_status st = rt_fs_write_all(fileno(r->texts), r->pending.data, r->pending.n,
                                   "temporary file of recorded texts", err);
    if (st != RT_OK) return st;
    r->n_written += r->pending.n;
    rt_buf_clear(&r->pending);
    return RT_OK;
}

static rt_status reserve(recorded *r, rt_error *err)
{
    if (r->n_spans == r->n_spans_max) {
        size_t n = r->n_spans_max == 0 ? 1024 : r->n_spans_max * 2;
        span *bigger = realloc(r->spans, n * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "index of %zu recorded texts", n);
        r->spans = bigger;
        r->n_spans_max = n;
    }
    if (r->keys.n == r->n_chains_max) {
        size_t n = r->n_chains_max == 0 ? 1024 : r->n_chains_max * 2;
        chain *bigger = realloc(r->chains, n * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "index of %zu recorded keys", n);
        r->chains = bigger;
        r->n_chains_max = n;
    }
    return r->n_spans < UINT32_MAX ? RT_OK : rt_fail(err, RT_FULL, "more than 2^32 recorded texts");
}

/* Hang the newest span onto its key's chain. */
static void link_span(recorded *r, size_t place, bool is_new)
{
    uint32_t i_span = (uint32_t)r->n_spans++;
    chain *c = &r->chains[place];
    if (is_new)
        *c = (chain){.first = i_span};
    else
        r->spans[c->last].next = i_span + 1;
    c->last = i_span;
    c->n++;
}

static rt_status add_text(recorded *r, rt_id key, const rt_buf *text, bool truncated, rt_error *err)
{
    rt_status st = RT_OK;
    size_t place = 0;
    bool added = false;
    if ((st = reserve(r, err)) != RT_OK) return st;
    if (r->pending.n >= WRITE_BUFFER_BYTES && (st = flush_pending(r, err)) != RT_OK) return st;
    if ((st = id_index_add(&r->keys, key, &place, &added, err)) != RT_OK) return st;
    if (!added && r->chains[place].n >= r->samples_max) {
        r->counts.n_duplicates++;
        return RT_OK;
    }
    r->spans[r->n_spans] = (span){.offset = r->n_written + r->pending.n,
                                  .n_bytes = (uint32_t)text->n,
                                  .truncated = truncated};
    link_span(r, place, added);
    return text->n == 0 ? RT_OK : rt_buf_add(&r->pending, text->data, text->n, err);
}

/* Whether the row itself says that its model stopped for length. */
static rt_status read_truncated(row_reader *reader, rt_buf *scratch, bool *out, rt_error *err)
{
    rt_buf_clear(scratch);
    rt_status st = row_reader_lookup(reader, "finish_reason", scratch, NULL);
    *out = st == RT_OK && scratch->n == 6 && memcmp(scratch->data, "length", 6) == 0;
    return st == RT_NOMEM ? rt_fail(err, RT_NOMEM, "recorded row") : RT_OK;
}

typedef struct row_parts {
    template *key;
    template *text;
    rt_buf key_bytes, text_bytes, scratch;
} row_parts;

/* RT_CORRUPT when this row cannot be used. */
static rt_status take_row(recorded *r, row_reader *reader, const row *source, row_parts *parts,
                          rt_error *err)
{
    rt_status st = RT_OK;
    bool truncated = false;
    rt_error why = {0};
    if (source->problem != NULL) return rt_fail(err, RT_CORRUPT, "%s", source->problem);
    rt_buf_clear(&parts->key_bytes);
    rt_buf_clear(&parts->text_bytes);
    st = template_render(parts->key, row_reader_lookup, reader, &parts->key_bytes, &why);
    if (st == RT_OK)
        st = template_render(parts->text, row_reader_lookup, reader, &parts->text_bytes, &why);
    if (st == RT_NOMEM) return rt_fail(err, st, "%s", why.text);
    if (st != RT_OK) return rt_fail(err, RT_CORRUPT, "%s", why.text);
    if (parts->text_bytes.n > UINT32_MAX) return rt_fail(err, RT_CORRUPT, "text of 4 GiB or more");
    if ((st = read_truncated(reader, &parts->scratch, &truncated, err)) != RT_OK) return st;
    return add_text(r, key_of(parts->key_bytes.data, parts->key_bytes.n), &parts->text_bytes,
                    truncated, err);
}

static rt_status read_rows(recorded *r, row_reader *reader, row_parts *parts, rt_error *err)
{
    rt_status st = RT_OK;
    row source;
    char first_bad[512] = "";
    while ((st = row_reader_next(reader, &source, err)) == RT_OK) {
        rt_error why = {0};
        r->counts.n_rows++;
        st = take_row(r, reader, &source, parts, &why);
        if (st == RT_CORRUPT) {
            if (r->counts.n_bad++ == 0)
                snprintf(first_bad, sizeof first_bad, "%s:%" PRIu64 ": %.300s", source.file,
                         source.line, why.text);
        } else if (st != RT_OK) {
            if (err != NULL) *err = why;
            return st;
        }
    }
    if (st != RT_END) return st;
    r->counts.n_keys = r->keys.n;
    if (r->keys.n == 0)
        return rt_fail(err, RT_CORRUPT, "teacher.files: none of %" PRIu64 " rows can be used%s%s",
                       r->counts.n_rows, first_bad[0] != '\0' ? "; the first: " : "", first_bad);
    if (r->counts.n_bad > 0)
        rt_log_warn("teacher.recorded_bad_rows", "n=%" PRIu64 " first=\"%s\"", r->counts.n_bad,
                    first_bad);
    return flush_pending(r, err);
}

rt_status recorded_open(const recorded_settings *settings, recorded **out, rt_error *err)
{
    rt_status st = RT_OK;
    recorded *r = NULL;
    row_reader *reader = NULL;
    row_parts parts = {0};
    row_reader_options options = {.format = ROW_AUTO};
    if ((st = template_parse(settings->key_template, &parts.key, err)) != RT_OK) {
        st = rt_wrap(err, st, "teacher.match_field");
        goto out;
    }
    if ((st = template_parse(settings->text_template, &parts.text, err)) != RT_OK) {
        st = rt_wrap(err, st, "teacher.text_field");
        goto out;
    }
    r = rt_calloc(1, sizeof *r);
    if (r == NULL) {
        st = rt_fail(err, RT_NOMEM, "recorded teacher");
        goto out;
    }
    r->samples_max = RT_MAX(settings->samples_max, 1);
    if ((r->texts = tmpfile()) == NULL) {
        st = rt_fail(err, RT_IO, "temporary file of recorded texts: %s", strerror(errno));
        goto out;
    }
    st = row_reader_open(settings->files, settings->n_files, &options, &reader, err);
    if (st != RT_OK) {
        st = rt_wrap(err, st, "teacher.files");
        goto out;
    }
    if ((st = read_rows(r, reader, &parts, err)) != RT_OK) goto out;
    rt_buf_free(&r->pending);
    *out = r;
    r = NULL;
out:
    recorded_close(r);
    row_reader_close(reader);
    template_free(parts.key);
    template_free(parts.text);
    rt_buf_free(&parts.key_bytes);
    rt_buf_free(&parts.text_bytes);
    rt_buf_free(&parts.scratch);
    return st;
}

static rt_status read_span(recorded *r, const span *s, rt_buf *text, rt_error *err)
{
    rt_buf_clear(text);
    rt_status st = rt_buf_reserve(text, (size_t)s->n_bytes + 1, err);
    if (st != RT_OK) return st;
    while (text->n < s->n_bytes) {
        ssize_t n = pread(fileno(r->texts), text->data + text->n, s->n_bytes - text->n,
                          (off_t)(s->offset + text->n));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return rt_fail(err, RT_IO, "temporary file of recorded texts: %s",
                           n < 0 ? strerror(errno) : "ends too early");
        text->n += (size_t)n;
    }
    text->data[text->n] = '\0';
    return RT_OK;
}

rt_status recorded_find(recorded *r, const char *key, size_t n_key, uint32_t sample, rt_buf *text,
                        bool *truncated, bool *found, rt_error *err)
{
    size_t place = id_index_find(&r->keys, key_of(key, n_key));
    *found = place != SIZE_MAX && sample < r->chains[place].n;
    if (!*found) return RT_OK;
    const span *s = &r->spans[r->chains[place].first];
    for (; sample > 0; sample--) s = &r->spans[s->next - 1];
    *truncated = s->truncated;
    return read_span(r, s, text, err);
}

const recorded_counts *recorded_get_counts(const recorded *r)
{
    return &r->counts;
}

/* The backend around it. */

typedef struct recorded_backend {
    recorded *texts;
    recorded_match match;
} recorded_backend;

static rt_status complete_recorded(void *context, const backend_request *requests, size_t n,
                                   const backend_sampling *sampling, backend_answer *answers,
                                   rt_error *err)
{
    recorded_backend *self = context;
    rt_status st = RT_OK;
    rt_buf text = {0};
    (void)sampling;
    backend_answer *fresh = rt_calloc(n, sizeof *fresh);
    if (fresh == NULL) return rt_fail(err, RT_NOMEM, "answers of %zu requests", n);
    for (size_t i = 0; i < n; i++) {
        const char *key = self->match == MATCH_ID ? requests[i].source_id : requests[i].input;
        bool found = false, truncated = false;
        st = recorded_find(self->texts, key, strlen(key), requests[i].sample, &text, &truncated,
                           &found, err);
        if (st != RT_OK) goto out;
        if (!found) {
            fresh[i].reason = REASON_NOT_RECORDED;
            continue;
        }
        fresh[i] = (backend_answer){.n_text = text.n,
                                    .truncated = truncated,
                                    .finish_reason = truncated ? "length" : "recorded"};
        fresh[i].text = rt_strndup(text.data, text.n);
        if (fresh[i].text == NULL) {
            st = rt_fail(err, RT_NOMEM, "recorded text");
            goto out;
        }
    }
    memcpy(answers, fresh, n * sizeof *answers);
    n = 0;
out:
    backend_answers_free(fresh, n);
    free(fresh);
    rt_buf_free(&text);
    return st;
}

static void close_recorded(void *context)
{
    recorded_backend *self = context;
    recorded_close(self->texts);
    free(self);
}

static const backend_ops recorded_ops = {
    .name = "recorded",
    .flags = 0,
    .complete = complete_recorded,
    .close = close_recorded,
};

rt_status backend_open_recorded(const config *c, backend **out, rt_error *err)
{
    rt_status st = RT_OK;
    recorded_backend *self = rt_calloc(1, sizeof *self);
    if (self == NULL) return rt_fail(err, RT_NOMEM, "recorded teacher");
    self->match = c->teacher.match;
    if (c->teacher.match == MATCH_ID && c->corpus.source_id[0] == '\0') {
        st = rt_fail(err, RT_INVALID,
                     "teacher.match: is id, but corpus.source_id is empty: name the field of the "
                     "corpus rows that holds the id");
        goto out;
    }
    recorded_settings settings = {.files = (const char *const *)c->teacher.files.items,
                                  .n_files = c->teacher.files.n,
                                  .key_template = c->teacher.match_field,
                                  .text_template = c->teacher.text_field,
                                  .samples_max = (size_t)c->quality.samples};
    if ((st = recorded_open(&settings, &self->texts, err)) != RT_OK) goto out;
    const recorded_counts *counts = recorded_get_counts(self->texts);
    rt_log_info("teacher.recorded", "rows=%" PRIu64 " texts=%" PRIu64 " duplicates=%" PRIu64,
                counts->n_rows, counts->n_rows - counts->n_bad - counts->n_duplicates,
                counts->n_duplicates);
    if ((st = backend_new(&recorded_ops, self, out, err)) != RT_OK) goto out;
    self = NULL;
out:
    if (self != NULL) close_recorded(self);
    return st;
}
