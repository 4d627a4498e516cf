#include "worker/evaluate/gold_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/corpus/row_reader.h"

void gold_rows_free(gold_rows *rows)
{
    if (rows == NULL) return;
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->rows[i].input);
        free(rows->rows[i].gold);
        free(rows->rows[i].source_id);
    }
    free(rows->rows);
    memset(rows, 0, sizeof *rows);
}

static row_format row_format_of(corpus_format format)
{
    switch (format) {
    case CORPUS_AUTO: return ROW_AUTO;
    case CORPUS_JSONL: return ROW_JSONL;
    case CORPUS_TEXT: return ROW_TEXT;
    case CORPUS_CSV: return ROW_CSV;
    case CORPUS_TSV: return ROW_TSV;
    }
    return ROW_AUTO;
}

/* What reading needs beside the rows. */
typedef struct gold_reader {
    const config *config;
    row_reader *reader;
    template *input, *gold;
    rt_buf input_text, gold_text, source_id;
    char first_bad[512];
} gold_reader;

static void gold_reader_close(gold_reader *g)
{
    row_reader_close(g->reader);
    template_free(g->input);
    template_free(g->gold);
    rt_buf_free(&g->input_text);
    rt_buf_free(&g->gold_text);
    rt_buf_free(&g->source_id);
}

static rt_status gold_reader_open(gold_reader *g, const config *c, const char *file, rt_error *err)
{
    rt_status st = RT_OK;
    const char *input = c->eval.input[0] != '\0' ? c->eval.input : c->corpus.input;
    const char *gold = c->eval.gold[0] != '\0' ? c->eval.gold : c->corpus.gold;
    const char *const one[] = {file};
    row_reader_options options = {.format =
                                      file != NULL ? ROW_AUTO : row_format_of(c->eval.format)};
    g->config = c;
    if (file == NULL && c->eval.files.n == 0)
        return rt_fail(err, RT_INVALID,
                       "eval.files: is empty, expected files with true answers (or use --gold)");
    if (gold[0] == '\0')
        return rt_fail(err, RT_INVALID,
                       "eval.gold: is empty and so is corpus.gold, expected the template of the "
                       "true answer, such as \"{gold}\"");
    if ((st = template_parse(input, &g->input, err)) != RT_OK)
        return rt_wrap(err, st, "eval.input");
    if ((st = template_parse(gold, &g->gold, err)) != RT_OK) return rt_wrap(err, st, "eval.gold");
    return file != NULL ? row_reader_open(one, 1, &options, &g->reader, err)
                        : row_reader_open((const char *const *)c->eval.files.items, c->eval.files.n,
                                          &options, &g->reader, err);
}

static void trim(rt_buf *text)
{
    size_t first = 0;
    if (text->data == NULL) return;
    while (text->n > 0 && strchr(" \t\r\n", text->data[text->n - 1]) != NULL) text->n--;
    while (first < text->n && strchr(" \t\r\n", text->data[first]) != NULL) first++;
    memmove(text->data, text->data + first, text->n - first);
    text->n -= first;
    text->data[text->n] = '\0';
}

static rt_status append_row(gold_rows *rows, const gold_reader *g, rt_error *err)
{
    if (rows->n == rows->capacity) {
        size_t n = rows->capacity == 0 ? 256 : rows->capacity * 2;
        gold_row *bigger = realloc(rows->rows, n * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "%zu rows with true answers", n);
        rows->rows = bigger;
        rows->capacity = n;
    }
    const char *task = g->config->task.name;
    gold_row fresh = {
        .id = rt_id_of_two(task, strlen(task), g->input_text.data, g->input_text.n),
        .input = rt_strndup(g->input_text.data, g->input_text.n),
        .gold = rt_strndup(g->gold_text.data, g->gold_text.n),
        .source_id = rt_strndup(g->source_id.data != NULL ? g->source_id.data : "", g->source_id.n),
    };
    if (fresh.input == NULL || fresh.gold == NULL || fresh.source_id == NULL) {
        free(fresh.input);
        free(fresh.gold);
        free(fresh.source_id);
        return rt_fail(err, RT_NOMEM, "row with a true answer");
    }
    rows->rows[rows->n++] = fresh;
    return RT_OK;
}

/* RT_CORRUPT when the row cannot be used, RT_END when it has no true answer. */
static rt_status render_row(gold_reader *g, const row *source, rt_error *err)
{
    rt_status st = RT_OK;
    const char *id_field = g->config->corpus.source_id;
    rt_buf_clear(&g->input_text);
    rt_buf_clear(&g->gold_text);
    rt_buf_clear(&g->source_id);
    if (source->problem != NULL) return rt_fail(err, RT_CORRUPT, "%s", source->problem);
    st = template_render(g->input, row_reader_lookup, g->reader, &g->input_text, err);
    if (st == RT_NOMEM) return st;
    if (st != RT_OK) return RT_CORRUPT;
    st = template_render(g->gold, row_reader_lookup, g->reader, &g->gold_text, err);
    if (st == RT_NOMEM) return st;
    if (st == RT_NOTFOUND) return RT_END;
    if (st != RT_OK) return RT_CORRUPT;
    trim(&g->gold_text);
    if (g->gold_text.n == 0) return RT_END;
    if (g->input_text.n == 0) return rt_fail(err, RT_CORRUPT, "the input is empty");
    if (id_field[0] != '\0') {
        st = row_reader_lookup(g->reader, id_field, &g->source_id, NULL);
        if (st == RT_NOMEM) return rt_fail(err, st, "source id of a row");
    }
    return RT_OK;
}

rt_status gold_rows_read(const config *c, const char *file, uint64_t n_max, gold_rows *out,
                         rt_error *err)
{
    rt_status st = RT_OK;
    gold_reader g = {0};
    gold_rows rows = {0};
    row source;
    if ((st = gold_reader_open(&g, c, file, err)) != RT_OK) goto out;
    while ((n_max == 0 || rows.n < n_max) &&
           (st = row_reader_next(g.reader, &source, err)) == RT_OK) {
        rt_error why = {0};
        st = render_row(&g, &source, &why);
        if (st == RT_END) {
            rows.n_without_gold++;
        } else if (st == RT_CORRUPT) {
            if (rows.n_malformed++ == 0)
                snprintf(g.first_bad, sizeof g.first_bad, "%s:%" PRIu64 ": %.300s", source.file,
                         source.line, why.text);
        } else if (st != RT_OK) {
            st = rt_fail(err, st, "%s", why.text);
            goto out;
        } else if ((st = append_row(&rows, &g, err)) != RT_OK) {
            goto out;
        }
    }
    if (st != RT_OK && st != RT_END) goto out;
    if (rows.n == 0) {
        st = rt_fail(err, RT_CORRUPT,
                     "%s: no row has an input and a true answer: %" PRIu64 " malformed, %" PRIu64
                     " without an answer%s%s",
                     file != NULL ? file : "eval.files", rows.n_malformed, rows.n_without_gold,
                     g.first_bad[0] != '\0' ? "; the first: " : "", g.first_bad);
        goto out;
    }
    if (rows.n_malformed > 0)
        rt_log_warn("eval.malformed_rows", "n=%" PRIu64 " first=\"%s\"", rows.n_malformed,
                    g.first_bad);
    st = RT_OK;
    *out = rows;
    memset(&rows, 0, sizeof rows);
out:
    gold_rows_free(&rows);
    gold_reader_close(&g);
    return st;
}
