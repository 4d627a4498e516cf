#include "worker/teacher/forget_answers.h"

#include <stdlib.h>
#include <string.h>

#include "worker/teacher/openai/asking.h"
#include "worker/teacher/run.h"

#define TEACHERS_MAX 2

/* Ends a question that the cache has no answer to; no record is made of it. */
#define REASON_NOT_CACHED "not_cached"

/* One teacher that answers out of the cache and asks nobody. */
typedef struct cached_teacher {
    config config; /* a copy that shares the run's texts */
    labeller labeller;
    backend *openai;
    answer_cache *cache;
    rt_id *keys; /* of the questions about the shard, in the order in which they were asked */
    size_t n_keys, n_keys_max;
} cached_teacher;

struct forgetter {
    config *second; /* NULL: one teacher */
    cached_teacher teachers[TEACHERS_MAX];
    size_t n_teachers;
};

static rt_status remember(cached_teacher *t, rt_id key, rt_error *err)
{
    if (t->n_keys == t->n_keys_max) {
        size_t n = RT_MAX(64, t->n_keys_max * 2);
        rt_id *bigger = realloc(t->keys, n * sizeof *bigger);
        if (bigger == NULL) return rt_fail(err, RT_NOMEM, "%zu answers of a shard", n);
        t->keys = bigger;
        t->n_keys_max = n;
    }
    t->keys[t->n_keys++] = key;
    return RT_OK;
}

/* Also where there is no answer: the thought before it may be there. */
static rt_status remember_keys(cached_teacher *t, asking *w, size_t i_request, rt_error *err)
{
    rt_id keys[ASKING_KEYS];
    size_t n = 0;
    rt_status st = asking_keys(w, i_request, keys, &n, err);
    for (size_t k = 0; st == RT_OK && k < n; k++) st = remember(t, keys[k], err);
    return st;
}

static rt_status complete_cached(void *context, const backend_request *requests, size_t n,
                                 const backend_sampling *sampling, backend_answer *answers,
                                 rt_error *err)
{
    cached_teacher *t = context;
    asking w = {.t = t->openai->self, .requests = requests, .n = n, .sampling = sampling};
    w.answers = rt_calloc(n, sizeof *w.answers);
    if (w.answers == NULL) return rt_fail(err, RT_NOMEM, "answers of %zu requests", n);
    rt_status st = asks_make(&w, err);
    for (size_t i = 0; st == RT_OK && i < w.n_asks; i++)
        ask_give_up(&w, &w.asks[i], REASON_NOT_CACHED);
    for (size_t i = 0; st == RT_OK && i < n; i++) st = remember_keys(t, &w, i, err);
    asks_free(&w);
    if (st == RT_OK)
        memcpy(answers, w.answers, n * sizeof *answers);
    else
        backend_answers_free(w.answers, n);
    free(w.answers);
    return st;
}

static const backend_ops cached_ops = {
    .name = "openai", .flags = BACKEND_CAN_GENERATE, .complete = complete_cached};

static rt_status add_teacher(forgetter *f, const config *c, answer_cache *cache, rt_error *err)
{
    static char none[] = "";
    cached_teacher *t = &f->teachers[f->n_teachers];
    if (c->teacher.backend != TEACHER_OPENAI) return RT_OK;
    f->n_teachers++;
    t->cache = cache;
    t->config = *c;
    t->config.teacher.api_key = none; /* nobody is asked */
    t->config.teacher.proxy_login = none;
    t->config.escalate.config = none;
    t->config.quality.scorer = none; /* what was asked does not depend on it */
    rt_status st = labeller_open(&t->config, &t->labeller, err);
    if (st != RT_OK) return st;
    labeller_use(&t->labeller, &(backend_means){.cache = cache});
    t->openai = t->labeller.backend;
    t->labeller.backend = NULL;
    return backend_new(&cached_ops, t, &t->labeller.backend, err);
}

rt_status forgetter_open(const config *c, answer_cache *cache, forgetter **out, rt_error *err)
{
    forgetter *f = rt_calloc(1, sizeof *f);
    if (f == NULL) return rt_fail(err, RT_NOMEM, "forgetting answers");
    rt_status st = add_teacher(f, c, cache, err);
    if (st == RT_OK && c->escalate.config[0] != '\0') {
        st = config_load_second(c, &f->second, err);
        if (st == RT_OK) st = add_teacher(f, f->second, cache, err);
    }
    if (st != RT_OK) {
        forgetter_close(f);
        return st;
    }
    *out = f;
    return RT_OK;
}

void forgetter_close(forgetter *f)
{
    if (f == NULL) return;
    for (size_t i = 0; i < f->n_teachers; i++) {
        backend_close(f->teachers[i].openai);
        labeller_close(&f->teachers[i].labeller);
        free(f->teachers[i].keys);
    }
    config_free(f->second);
    free(f);
}

static rt_status forget_shard(cached_teacher *t, const shard_example *examples, size_t n,
                              uint64_t *n_forgotten, rt_error *err)
{
    label_counts counts = {0};
    label_record *records = rt_calloc(n, sizeof *records);
    if (records == NULL) return rt_fail(err, RT_NOMEM, "shard of %zu examples", n);
    t->n_keys = 0;
    rt_status st = label_shard(&t->labeller, examples, n, records, &counts, err);
    if (st == RT_OK) label_records_free(records, n);
    for (size_t i = t->n_keys; st == RT_OK && i-- > 0;) {
        st = answer_cache_remove(t->cache, t->keys[i], err);
        if (st == RT_OK) ++*n_forgotten;
        if (st == RT_NOTFOUND) st = RT_OK; /* it was never there */
    }
    free(records);
    return st;
}

rt_status forgetter_forget(forgetter *f, const shard_example *examples, size_t n,
                           uint64_t *n_forgotten, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < f->n_teachers; i++)
        st = forget_shard(&f->teachers[i], examples, n, n_forgotten, err);
    return st;
}
