#include "coordinator/tokenizer_stage.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"

#define MODEL_BYTES_MAX ((size_t)128 << 20)

typedef enum thread_state { THREAD_NONE, THREAD_RUNS, THREAD_ENDED } thread_state;

struct tokenizer_stage {
    const config *config;
    const corpus_source *corpus;
    char *path;
    tokenizer *tokenizer;
    bool tasks[TASK_COUNT];
    /* Of the thread while it runs: */
    char **targets;
    size_t n_targets;
    size_t i_example, i_target;
    int i_task;
    rt_buf text;
    rt_status st;
    rt_error why;
    pthread_t thread;
    atomic_int state; /* thread_state */
};

void preset_tasks(const train_config *train, bool tasks[TASK_COUNT], double weights[TASK_COUNT])
{
    for (int t = 0; t < TASK_COUNT; t++) {
        tasks[t] = false;
        weights[t] = 0;
    }
    switch (train->preset) {
    case PRESET_STEP_BY_STEP:
        tasks[TASK_PREDICT] = tasks[TASK_EXPLAIN] = true;
        weights[TASK_PREDICT] = train->alpha;
        weights[TASK_EXPLAIN] = 1 - train->alpha;
        break;
    case PRESET_LABEL_ONLY:
        tasks[TASK_PREDICT] = true;
        weights[TASK_PREDICT] = 1;
        break;
    case PRESET_RATIONALE_FIRST:
        tasks[TASK_SOLVE] = true;
        weights[TASK_SOLVE] = 1;
        break;
    }
}

static rt_status copy_model(const char *from, const char *to, rt_error *err)
{
    rt_buf bytes = {0};
    tokenizer *check = NULL;
    rt_status st = tokenizer_load(from, &check, err);
    if (st == RT_OK) st = rt_fs_read(from, MODEL_BYTES_MAX, &bytes, err);
    if (st == RT_OK) st = rt_fs_write_atomic(to, bytes.data, bytes.n, err);
    tokenizer_free(check);
    rt_buf_free(&bytes);
    return st == RT_OK ? st : rt_wrap(err, st, "tokenizer.model");
}

rt_status tokenizer_stage_open(const config *c, const corpus_source *corpus, const char *path,
                               tokenizer_stage **out, rt_error *err)
{
    rt_status st = RT_OK;
    double weights[TASK_COUNT];
    tokenizer_stage *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "tokenizer");
    s->config = c;
    s->corpus = corpus;
    s->path = rt_strndup(path, strlen(path));
    if (s->path == NULL) {
        st = rt_fail(err, RT_NOMEM, "tokenizer");
        goto out;
    }
    preset_tasks(&c->train, s->tasks, weights);
    if (!rt_fs_exists(path) && c->tokenizer.model[0] != '\0')
        if ((st = copy_model(c->tokenizer.model, path, err)) != RT_OK) goto out;
    if (rt_fs_exists(path) && (st = tokenizer_load(path, &s->tokenizer, err)) != RT_OK) goto out;
    *out = s;
    s = NULL;
out:
    tokenizer_stage_free(s);
    return st;
}

static void free_thread_data(tokenizer_stage *s)
{
    for (size_t i = 0; i < s->n_targets; i++) free(s->targets[i]);
    free(s->targets);
    s->targets = NULL;
    s->n_targets = 0;
    rt_buf_free(&s->text);
}

void tokenizer_stage_free(tokenizer_stage *s)
{
    if (s == NULL) return;
    if (atomic_load(&s->state) != THREAD_NONE) pthread_join(s->thread, NULL);
    free_thread_data(s);
    tokenizer_free(s->tokenizer);
    free(s->path);
    free(s);
}

const tokenizer *tokenizer_stage_get(const tokenizer_stage *s)
{
    return s->tokenizer;
}

const char *tokenizer_stage_path(const tokenizer_stage *s)
{
    return s->path;
}

bool tokenizer_stage_is_training(const tokenizer_stage *s)
{
    return atomic_load(&s->state) != THREAD_NONE;
}

static const char *first_marker(const config *c)
{
    return c->task.markers.n > 0 ? c->task.markers.items[0] : "";
}

/* Targets of one record; one that lacks what a task needs has none. */
static rt_status add_targets(tokenizer_stage *s, const label_record *r, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf text = {0};
    for (int t = 0; t < TASK_COUNT && st == RT_OK; t++) {
        rt_error why = {0};
        if (!s->tasks[t]) continue;
        rt_buf_clear(&text);
        st = task_target((student_task)t, r, s->config->task.label_format, first_marker(s->config),
                         &text, &why);
        if (st == RT_NOTFOUND || (st == RT_OK && text.n == 0)) {
            st = RT_OK;
            continue;
        }
        if (st != RT_OK) {
            st = rt_fail(err, st, "%s", why.text);
            break;
        }
        char *copy = rt_strndup(text.data, text.n);
        if (copy == NULL)
            st = rt_fail(err, RT_NOMEM, "text for the tokenizer");
        else
            s->targets[s->n_targets++] = copy;
    }
    rt_buf_free(&text);
    return st;
}

static rt_status collect_targets(tokenizer_stage *s, const archive *a, size_t n_first,
                                 rt_error *err)
{
    const rt_id *ids = corpus_source_ids(s->corpus);
    s->targets = rt_calloc(n_first * TASK_COUNT, sizeof *s->targets);
    if (s->targets == NULL) return rt_fail(err, RT_NOMEM, "text for the tokenizer");
    for (size_t i = 0; i < n_first; i++) {
        label_record r = {0};
        if (archive_find(a, ids[i]) != ARCHIVE_LABELLED) continue;
        rt_status st = archive_read(a, ids[i], &r, err);
        if (st == RT_OK) st = add_targets(s, &r, err);
        label_record_free(&r);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

/* Each example's prompt for each task, then the targets. */
static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    tokenizer_stage *s = context;
    example e = {0};
    rt_status st;
    while (s->i_task < TASK_COUNT && !s->tasks[s->i_task]) s->i_task++;
    if (s->i_task == TASK_COUNT) {
        s->i_task = 0;
        s->i_example++;
        while (!s->tasks[s->i_task]) s->i_task++;
    }
    if (s->i_example >= corpus_source_n(s->corpus)) {
        if (s->i_target == s->n_targets) return RT_END;
        *text = s->targets[s->i_target++];
        *n = strlen(*text);
        return RT_OK;
    }
    rt_buf_clear(&s->text);
    st = corpus_source_read(s->corpus, s->i_example, &e, err);
    if (st == RT_OK) st = task_prompt((student_task)s->i_task, e.input, &s->text, err);
    example_free(&e);
    s->i_task++;
    *text = s->text.data;
    *n = s->text.n;
    return st;
}

static void *run_thread(void *context)
{
    tokenizer_stage *s = context;
    const tokenizer_config *t = &s->config->tokenizer;
    tokenizer_training training = {.bpe = t->kind == TOKENIZER_BPE,
                                   .vocab_size = t->vocab_size,
                                   .byte_fallback = t->byte_fallback,
                                   .split_digits = t->split_digits,
                                   .lowercase = t->lowercase,
                                   .n_sentences_max = t->sample_max};
    s->st = tokenizer_train(&training, next_sentence, s, s->path, &s->why);
    atomic_store(&s->state, THREAD_ENDED);
    return NULL;
}

rt_status tokenizer_stage_begin(tokenizer_stage *s, const archive *a, size_t n_first, rt_error *err)
{
    sigset_t blocked, before;
    RT_ASSERT(s->tokenizer == NULL && atomic_load(&s->state) == THREAD_NONE);
    rt_status st = collect_targets(s, a, n_first, err);
    if (st != RT_OK) return st;
    rt_log_info("tokenizer.begin", "vocab_size=%llu targets=%zu",
                (unsigned long long)s->config->tokenizer.vocab_size, s->n_targets);
    s->st = RT_OK;
    s->i_example = s->i_target = 0;
    s->i_task = 0;
    sigfillset(&blocked); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    atomic_store(&s->state, THREAD_RUNS);
    int code = pthread_create(&s->thread, NULL, run_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return RT_OK;
    atomic_store(&s->state, THREAD_NONE);
    return rt_fail(err, RT_NOMEM, "thread for the tokenizer: %s", strerror(code));
}

rt_status tokenizer_stage_poll(tokenizer_stage *s, rt_error *err)
{
    if (atomic_load(&s->state) != THREAD_ENDED) return RT_OK;
    pthread_join(s->thread, NULL);
    atomic_store(&s->state, THREAD_NONE);
    free_thread_data(s);
    if (s->st != RT_OK) return rt_fail(err, s->st, "training the tokenizer: %s", s->why.text);
    return tokenizer_load(s->path, &s->tokenizer, err);
}

bool tokenizer_stage_wait(tokenizer_stage *s, uint64_t timeout_ms)
{
    uint64_t until_ms = rt_clock_mono_ms() + timeout_ms;
    while (atomic_load(&s->state) == THREAD_RUNS && rt_clock_mono_ms() < until_ms) rt_sleep_ms(10);
    return atomic_load(&s->state) != THREAD_RUNS;
}
