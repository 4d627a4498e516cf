#include "cli/doctor/corpus_sample.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/corpus/row_reader.h"

typedef struct reading {
    corpus_sample *out;
    row_reader *reader;
    template *input, *gold; /* gold NULL: none */
    const char *source_id;
    rt_buf input_text, gold_text, source_text;
} reading;

void corpus_sample_free(corpus_sample *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->inputs[i]);
        free(s->source_ids[i]);
    }
    free(s->inputs);
    free(s->source_ids);
    memset(s, 0, sizeof *s);
}

double corpus_sample_bytes_mean(const corpus_sample *s)
{
    return s->n == 0 ? 0 : (double)s->n_input_bytes / (double)s->n;
}

static rt_status keep_row(reading *k, rt_error *err)
{
    corpus_sample *s = k->out;
    if (s->n == s->capacity) {
        size_t n = s->capacity == 0 ? 256 : s->capacity * 2;
        char **inputs = realloc(s->inputs, n * sizeof *inputs);
        if (inputs != NULL) s->inputs = inputs;
        char **ids = inputs == NULL ? NULL : realloc(s->source_ids, n * sizeof *ids);
        if (ids == NULL) return rt_fail(err, RT_NOMEM, "%zu rows of the corpus", n);
        s->source_ids = ids;
        s->capacity = n;
    }
    char *input = rt_strndup(k->input_text.data, k->input_text.n);
    char *id = rt_strndup(k->source_text.n > 0 ? k->source_text.data : "", k->source_text.n);
    if (input == NULL || id == NULL) {
        free(input);
        free(id);
        return rt_fail(err, RT_NOMEM, "row of the corpus");
    }
    s->inputs[s->n] = input;
    s->source_ids[s->n++] = id;
    s->n_input_bytes += k->input_text.n;
    return RT_OK;
}

static bool gold_is_null(const reading *k)
{
    size_t n = template_n_fields(k->gold);
    for (size_t i = 0; i < n; i++)
        if (!row_reader_is_null(k->reader, template_field(k->gold, i))) return false;
    return n > 0;
}

/* By the rules of the manifest: RT_NOTFOUND, RT_INVALID and RT_CORRUPT mean malformed. */
static rt_status render(reading *k, const row *source, rt_error *err)
{
    rt_buf_clear(&k->input_text);
    rt_buf_clear(&k->gold_text);
    rt_buf_clear(&k->source_text);
    if (source->problem != NULL) return rt_fail(err, RT_CORRUPT, "%s", source->problem);
    rt_status st = template_render(k->input, row_reader_lookup, k->reader, &k->input_text, err);
    if (st != RT_OK) return st;
    if (k->input_text.n == 0 || strspn(k->input_text.data, " \t\r\n") == k->input_text.n)
        return rt_fail(err, RT_INVALID, "the input is empty");
    if (k->gold != NULL && !gold_is_null(k))
        st = template_render(k->gold, row_reader_lookup, k->reader, &k->gold_text, err);
    if (st != RT_OK || k->source_id[0] == '\0') return st;
    if (row_reader_is_null(k->reader, k->source_id)) return RT_OK;
    return row_reader_lookup(k->reader, k->source_id, &k->source_text, err);
}

static rt_status take_row(reading *k, const row *source, rt_error *err)
{
    rt_error why = {0};
    corpus_sample *s = k->out;
    rt_status st = render(k, source, &why);
    s->n_rows++;
    if (st == RT_OK) return keep_row(k, err);
    if (st != RT_NOTFOUND && st != RT_INVALID && st != RT_CORRUPT)
        return rt_fail(err, st, "%s:%" PRIu64 ": %s", source->file, source->line, why.text);
    if (s->n_malformed++ == 0)
        snprintf(s->first_bad, sizeof s->first_bad, "%.200s:%" PRIu64 ": %.350s", source->file,
                 source->line, why.text);
    return RT_OK;
}

static bool is_full(const corpus_sample *s)
{
    return s->n_rows >= SAMPLE_ROWS_MAX || s->n_input_bytes >= SAMPLE_BYTES_MAX;
}

static rt_status read_rows(reading *k, const config *c, rt_error *err)
{
    corpus_sample *s = k->out;
    uint64_t rows_max = c->corpus.rows_max > 0 ? c->corpus.rows_max : UINT64_MAX;
    rt_status st = RT_OK;
    row source;
    /* One row more than it keeps: whether there is one decides what can be said of the whole. */
    while (s->n_rows < rows_max && (st = row_reader_next(k->reader, &source, err)) == RT_OK &&
           !is_full(s))
        if ((st = take_row(k, &source, err)) != RT_OK) break;
    if (st != RT_OK && st != RT_END) return st;
    double progress = row_reader_progress(k->reader);
    s->is_whole = st == RT_END || s->n_rows == rows_max;
    s->n_rows_about = s->n_rows;
    if (!s->is_whole && progress > 0)
        s->n_rows_about = RT_MIN((uint64_t)((double)s->n_rows / progress), rows_max);
    return RT_OK;
}

rt_status corpus_sample_read(const config *c, corpus_sample *out, rt_error *err)
{
    reading k = {.out = out, .source_id = c->corpus.source_id};
    row_reader_options options = {.format = (row_format)c->corpus.format,
                                  .paragraphs = c->corpus.unit == TEXT_PARAGRAPH};
    rt_status st = template_parse(c->corpus.input, &k.input, err);
    if (st != RT_OK) st = rt_wrap(err, st, "corpus.input");
    if (st == RT_OK && c->corpus.gold[0] != '\0') {
        st = template_parse(c->corpus.gold, &k.gold, err);
        if (st != RT_OK) st = rt_wrap(err, st, "corpus.gold");
    }
    if (st == RT_OK)
        st = row_reader_open((const char *const *)c->corpus.files.items, c->corpus.files.n,
                             &options, &k.reader, err);
    if (st == RT_OK) st = read_rows(&k, c, err);
    row_reader_close(k.reader);
    template_free(k.input);
    template_free(k.gold);
    rt_buf_free(&k.input_text);
    rt_buf_free(&k.gold_text);
    rt_buf_free(&k.source_text);
    return st;
}

finding corpus_verdict(const corpus_sample *s, double bad_share_max)
{
    finding f;
    const char *all = s->is_whole ? "" : "first ";
    bool too_many = (double)s->n_malformed > bad_share_max * (double)s->n_rows;
    if (s->n_rows == 0)
        f = finding_fail(RT_CORRUPT, "the files hold no row");
    else if (s->n == 0)
        f = finding_fail(RT_CORRUPT, "none of the %s%" PRIu64 " rows can be used; the first: %s",
                         all, s->n_rows, s->first_bad);
    else if (too_many)
        f = finding_fail(RT_CORRUPT,
                         "%" PRIu64 " of the %s%" PRIu64 " rows are malformed; the "
                         "first: %s",
                         s->n_malformed, all, s->n_rows, s->first_bad);
    else if (s->n_malformed > 0)
        f = finding_warn("%" PRIu64 " of the %s%" PRIu64 " rows are malformed and will be left "
                         "out; the first: %s",
                         s->n_malformed, all, s->n_rows, s->first_bad);
    else if (s->is_whole)
        f = finding_ok("%" PRIu64 " rows, all well formed", s->n_rows);
    else
        f = finding_ok("the first %" PRIu64 " of about %" PRIu64 " rows are well formed", s->n_rows,
                       s->n_rows_about);
    finding_expect(&f,
                   "rows with the fields of corpus.input, corpus.gold and corpus.source_id, at "
                   "most a share of %g malformed (corpus.bad_share_max)",
                   bad_share_max);
    finding_fix(&f, "correct these rows, or corpus.format and the templates");
    return f;
}
