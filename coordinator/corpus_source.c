#include "coordinator/corpus_source.h"

#include <stdlib.h>
#include <string.h>

struct corpus_source {
    manifest *corpus; /* one of these two */
    archive *dataset;
    rt_id *ids;
    size_t n;
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
    s->n = manifest_n(s->corpus);
    s->ids = rt_calloc(s->n, sizeof *s->ids);
    if (s->ids == NULL) {
        st = rt_fail(err, RT_NOMEM, "%zu ids of the corpus", s->n);
        goto out;
    }
    for (size_t i = 0; i < s->n; i++) s->ids[i] = manifest_id(s->corpus, i);
    *out = s;
    s = NULL;
out:
    corpus_source_free(s);
    return st;
}

static int compare_ids(const void *a, const void *b)
{
    return rt_id_compare(*(const rt_id *)a, *(const rt_id *)b);
}

/* The archive hands out each id once, whatever the file repeats. */
static rt_status take_id(void *context, const label_record *r, rt_error *err)
{
    corpus_source *s = context;
    size_t n_max = archive_n_labelled(s->dataset) + archive_n_rejected(s->dataset);
    if (s->n == n_max)
        return rt_fail(err, RT_CORRUPT, "the dataset grew while it was read; expected %zu records",
                       n_max);
    s->ids[s->n++] = r->id;
    return RT_OK;
}

static size_t drop_repeats(rt_id *ids, size_t n)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (n_kept == 0 || !rt_id_equal(ids[n_kept - 1], ids[i])) ids[n_kept++] = ids[i];
    return n_kept;
}

rt_status corpus_source_of_dataset(archive *a, corpus_source **out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_max = archive_n_labelled(a) + archive_n_rejected(a);
    corpus_source *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "dataset");
    s->dataset = a;
    s->ids = rt_calloc(n_max, sizeof *s->ids);
    if (s->ids == NULL) {
        st = rt_fail(err, RT_NOMEM, "%zu ids of the dataset", n_max);
        goto out;
    }
    if ((st = archive_scan(a, false, take_id, s, err)) != RT_OK) goto out;
    if ((st = archive_scan(a, true, take_id, s, err)) != RT_OK) goto out;
    qsort(s->ids, s->n, sizeof *s->ids, compare_ids);
    s->n = drop_repeats(s->ids, s->n);
    s->counts = (manifest_counts){.n_rows = s->n, .n_examples = s->n};
    *out = s;
    s = NULL;
out:
    corpus_source_free(s);
    return st;
}

void corpus_source_free(corpus_source *s)
{
    if (s == NULL) return;
    manifest_free(s->corpus);
    free(s->ids);
    free(s);
}

size_t corpus_source_n(const corpus_source *s)
{
    return s->n;
}

const rt_id *corpus_source_ids(const corpus_source *s)
{
    return s->ids;
}

size_t corpus_source_find(const corpus_source *s, rt_id id)
{
    if (s->corpus != NULL) return manifest_find(s->corpus, id);
    const rt_id *found = bsearch(&id, s->ids, s->n, sizeof id, compare_ids);
    return found == NULL ? SIZE_MAX : (size_t)(found - s->ids);
}

rt_status corpus_source_read(const corpus_source *s, size_t i, example *out, rt_error *err)
{
    label_record r = {0};
    if (s->corpus != NULL) return manifest_read(s->corpus, i, out, err);
    rt_status st = archive_read(s->dataset, s->ids[i], &r, err);
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
    return rt_id_of(s->ids, s->n * sizeof *s->ids);
}
