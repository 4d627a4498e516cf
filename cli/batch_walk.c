#include "cli/batch_walk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/stop.h"
#include "worker/runtime/run_path.h"

rt_status batch_walk_open(const config *c, batch_walk *out, rt_error *err)
{
    char folder[PATH_MAX];
    batch_walk w = {.config = c};
    rt_status st = config_check_corpus(c, err);
    if (st == RT_OK) st = cache_path(c, folder, sizeof folder, err);
    if (st == RT_OK && folder[0] == '\0')
        st = rt_fail(err, RT_INVALID,
                     "cache.dir is off: the answers of batches are kept in the cache");
    if (st == RT_OK) st = answer_cache_open(folder, &w.cache, err);
    if (st == RT_OK) st = run_path(c, "corpus", folder, sizeof folder, err);
    if (st == RT_OK) st = corpus_source_of_corpus(c, folder, &w.corpus, err);
    if (st == RT_OK) st = run_path(c, "dataset", folder, sizeof folder, err);
    if (st == RT_OK && rt_fs_exists(folder)) {
        archive_options how = {.read_only = true, .corpus = corpus_source_index(w.corpus)};
        st = archive_open_with(folder, &how, &w.dataset, err);
    }
    if (st != RT_OK) {
        batch_walk_close(&w);
        return st;
    }
    for (size_t i = 0; i < corpus_source_n(w.corpus); i++)
        w.n_pending += w.dataset == NULL ||
                       archive_find(w.dataset, corpus_source_ids(w.corpus)[i]) == ARCHIVE_ABSENT;
    *out = w;
    return RT_OK;
}

void batch_walk_close(batch_walk *w)
{
    answer_cache_close(w->cache);
    archive_close(w->dataset);
    corpus_source_free(w->corpus);
    *w = (batch_walk){0};
}

typedef struct shard {
    example *examples; /* [n_max] */
    shard_example *shown;
    label_record *records;
    size_t n;
} shard;

static void shard_clear(shard *s)
{
    for (size_t i = 0; i < s->n; i++) example_free(&s->examples[i]);
    s->n = 0;
}

static rt_status read_shard(const batch_walk *w, size_t first, size_t n, shard *s, rt_error *err)
{
    const rt_id *ids = corpus_source_ids(w->corpus);
    for (; s->n < n; s->n++) {
        size_t i = first + s->n;
        example *e = &s->examples[s->n];
        rt_status st = corpus_source_read(w->corpus, i, e, err);
        if (st != RT_OK) return st;
        s->shown[s->n] = (shard_example){
            .id = e->id,
            .input = e->input,
            .source_id = e->source_id == NULL ? "" : e->source_id,
            .gold = e->gold,
            .done = w->dataset != NULL && archive_find(w->dataset, ids[i]) != ARCHIVE_ABSENT};
    }
    return RT_OK;
}

static rt_status walk_shards(const batch_walk *w, const labeller *l, shard *s, size_t n_shard,
                             rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = corpus_source_n(w->corpus);
    for (size_t first = 0; st == RT_OK && first < n; first += n_shard) {
        label_counts counts = {0};
        size_t n_here = RT_MIN(n_shard, n - first);
        if (rt_stop_requested() != RT_STOP_NONE)
            return rt_fail(err, RT_CANCELLED, "stopped at row %zu of %zu", first, n);
        st = read_shard(w, first, n_here, s, err);
        if (st == RT_OK) st = label_shard(l, s->shown, n_here, s->records, &counts, err);
        if (st == RT_OK) label_records_free(s->records, n_here);
        shard_clear(s);
    }
    return st;
}

rt_status batch_walk_run(batch_walk *w, const batch_handler *handler, rt_error *err)
{
    batch_labeller l = {0};
    size_t n_shard = RT_MIN(w->config->label.shard_size, corpus_source_n(w->corpus));
    shard s = {.examples = rt_calloc(n_shard, sizeof *s.examples),
               .shown = rt_calloc(n_shard, sizeof *s.shown),
               .records = rt_calloc(n_shard, sizeof *s.records)};
    rt_status st = s.examples == NULL || s.shown == NULL || s.records == NULL
                       ? rt_fail(err, RT_NOMEM, "shard of %zu examples", n_shard)
                       : batch_labeller_open(w->config, w->cache, handler, &l, err);
    if (st == RT_OK && n_shard > 0) st = walk_shards(w, &l.labeller, &s, n_shard, err);
    w->n_taken += l.n_taken;
    w->n_unusable += l.n_unusable;
    batch_labeller_close(&l);
    shard_clear(&s);
    free(s.examples);
    free(s.shown);
    free(s.records);
    return st;
}
