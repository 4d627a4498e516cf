#include "coordinator/corpus_source.h"

#include <stdlib.h>
#include <string.h>

struct corpus_source {
    manifest *corpus; /* one of these two */
    const archive *dataset;
    const id_index *index; /* of the one that is there */
    manifest_counts counts;
};

rt_status corpus_source_of_corpus(const config *c, const char *folder, corpus_source **out,
                                  rt_error *err)
{
    manifest_settings settings = {
        .task_name = c->task.name,
        .files = (const char *const *)c->corpus.files.items,
        .n_files = c->corpus.files.n,
        .reader = {.format = (row_format)c->corpus.format,
                   .paragraphs = c->corpus.unit == TEXT_PARAGRAPH},
        .input = c->corpus.input,
        .gold = c->corpus.gold,
        .source_id = c->corpus.source_id,
        .rows_max = c->corpus.rows_max,
        .bad_share_max = c->corpus.bad_share_max,
    };
    corpus_source *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "corpus");
    rt_status st = manifest_open(folder, &settings, &s->corpus, err);
    if (st != RT_OK) goto out;
    s->counts = *manifest_get_counts(s->corpus);
    s->index = manifest_index(s->corpus);
    *out = s;
    s = NULL;
out:
    corpus_source_free(s);
    return st;
}

rt_status corpus_source_of_dataset(archive *a, corpus_source **out, rt_error *err)
{
    const id_index *index = NULL;
    rt_status st = archive_order_by_id(a, &index, err);
    if (st != RT_OK) return st;
    corpus_source *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "dataset");
    s->dataset = a;
    s->index = index;
    s->counts = (manifest_counts){.n_rows = index->n, .n_examples = index->n};
    *out = s;
    return RT_OK;
}

void corpus_source_free(corpus_source *s)
{
    if (s == NULL) return;
    manifest_free(s->corpus);
    free(s);
}

size_t corpus_source_n(const corpus_source *s)
{
    return s->index->n;
}

const rt_id *corpus_source_ids(const corpus_source *s)
{
    return s->index->ids;
}

const id_index *corpus_source_index(const corpus_source *s)
{
    return s->index;
}

size_t corpus_source_find(const corpus_source *s, rt_id id)
{
    return id_index_find(s->index, id);
}

rt_status corpus_source_read(const corpus_source *s, size_t i, example *out, rt_error *err)
{
    label_record r = {0};
    if (s->corpus != NULL) return manifest_read(s->corpus, i, out, err);
    rt_status st = archive_read(s->dataset, s->index->ids[i], &r, err);
    if (st != RT_OK) return st;
    *out = (example){.id = r.id, .input = r.input, .gold = r.gold, .source_id = r.source_id};
    r.input = r.gold = r.source_id = NULL;
    label_record_free(&r);
    return RT_OK;
}

const manifest_counts *corpus_source_counts(const corpus_source *s)
{
    return &s->counts;
}

rt_id corpus_source_key(const corpus_source *s)
{
    const id_index *index = s->index;
    return rt_id_of(index->n == 0 ? (const void *)"" : index->ids, index->n * sizeof *index->ids);
}
