#include "coordinator/dataset_sum.h"

rt_status dataset_sum_work(dataset_sum *s, const archive *a, const corpus_source *corpus,
                           size_t n_max, rt_error *err)
{
    if (s->done) return RT_OK;
    if (s->n_taken == 0) rt_sha256_begin(&s->sha);
    size_t n = RT_MIN(n_max, corpus_source_n(corpus) - s->n_taken);
    rt_status st = archive_sha256_add(a, corpus_source_ids(corpus) + s->n_taken, n, &s->sha, err);
    if (st != RT_OK) {
        *s = (dataset_sum){0};
        return st;
    }
    s->n_taken += n;
    if (s->n_taken < corpus_source_n(corpus)) return RT_OK;
    rt_sha256_end(&s->sha, s->hex);
    s->done = true;
    return RT_OK;
}
