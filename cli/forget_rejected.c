#include "cli/forget_rejected.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "worker/runtime/run_path.h"
#include "worker/teacher/forget_answers.h"

#define SHARD_MAX 256 /* records in memory at once */

typedef struct forgetting {
    archive *dataset;
    const char *reason;
    forgetter *forgetter;
    label_record *records; /* [SHARD_MAX]; owns what the examples borrow */
    shard_example *examples;
    size_t n;
    uint64_t n_forgotten;
} forgetting;

static rt_status flush(forgetting *f, rt_error *err)
{
    rt_status st =
        f->n == 0 ? RT_OK : forgetter_forget(f->forgetter, f->examples, f->n, &f->n_forgotten, err);
    label_records_free(f->records, f->n);
    f->n = 0;
    return st;
}

static rt_status take(void *context, const label_record *r, rt_error *err)
{
    forgetting *f = context;
    if (f->reason != NULL && strcmp(r->reason, f->reason) != 0) return RT_OK;
    if (archive_find(f->dataset, r->id) != ARCHIVE_REJECTED) return RT_OK;
    label_record *mine = &f->records[f->n];
    rt_status st = archive_read(f->dataset, r->id, mine, err);
    if (st != RT_OK) return st;
    f->examples[f->n++] =
        (shard_example){.id = mine->id,
                        .input = mine->input,
                        .source_id = mine->source_id != NULL ? mine->source_id : "",
                        .gold = mine->gold};
    return f->n == SHARD_MAX ? flush(f, err) : RT_OK;
}

static rt_status forget_all(const config *c, answer_cache *cache, const char *dataset,
                            forgetting *f, rt_error *err)
{
    f->records = rt_calloc(SHARD_MAX, sizeof *f->records);
    f->examples = rt_calloc(SHARD_MAX, sizeof *f->examples);
    if (f->records == NULL || f->examples == NULL)
        return rt_fail(err, RT_NOMEM, "rejected rows of %s", dataset);
    rt_status st = archive_open_read_only(dataset, &f->dataset, err);
    if (st == RT_OK) st = forgetter_open(c, cache, &f->forgetter, err);
    if (st == RT_OK) st = archive_scan(f->dataset, true, take, f, err);
    return st == RT_OK ? flush(f, err) : st;
}

rt_status forget_rejected(const config *c, const char *dataset, const char *reason,
                          uint64_t *n_forgotten, rt_error *err)
{
    char folder[PATH_MAX];
    answer_cache *cache = NULL;
    forgetting f = {.reason = reason};
    rt_status st = cache_path(c, folder, sizeof folder, err);
    if (st != RT_OK || folder[0] == '\0' || !rt_fs_exists(folder)) return st;
    if ((st = answer_cache_open(folder, &cache, err)) == RT_OK)
        st = forget_all(c, cache, dataset, &f, err);
    if (st == RT_OK) *n_forgotten = f.n_forgotten;
    forgetter_close(f.forgetter);
    archive_close(f.dataset);
    answer_cache_close(cache);
    if (f.records != NULL) label_records_free(f.records, f.n);
    free(f.records);
    free(f.examples);
    return st;
}
