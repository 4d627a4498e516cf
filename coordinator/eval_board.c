#include "coordinator/eval_board.h"

#include <inttypes.h>
#include <stdlib.h>

struct eval_board {
    eval_settings settings;
    uint64_t version;
    uint64_t n_records;
    uint32_t n, n_missing;
    bool open;
    bool *have;
    wire_sums *results;
    eval_score *scores;
    size_t n_scores;
};

rt_status eval_board_new(const eval_settings *settings, eval_board **out, rt_error *err)
{
    eval_board *b = rt_calloc(1, sizeof *b);
    if (b == NULL) return rt_fail(err, RT_NOMEM, "eval board");
    b->settings = *settings;
    *out = b;
    return RT_OK;
}

void eval_board_free(eval_board *b)
{
    if (b == NULL) return;
    free(b->have);
    free(b->results);
    free(b->scores);
    free(b);
}

rt_status eval_board_start(eval_board *b, uint64_t version, uint32_t n, uint64_t n_records,
                           rt_error *err)
{
    if (b->open && b->version == version && b->n == n) return RT_OK;
    bool *have = rt_calloc(n, sizeof *have);
    wire_sums *results = rt_calloc(n, sizeof *results);
    if (have == NULL || results == NULL) {
        free(have);
        free(results);
        return rt_fail(err, RT_NOMEM, "evaluation of %" PRIu32 " micro-batches", n);
    }
    free(b->have);
    free(b->results);
    b->have = have;
    b->results = results;
    b->version = version;
    b->n_records = n_records;
    b->n = b->n_missing = n;
    b->open = true;
    return RT_OK;
}

bool eval_board_result(eval_board *b, uint64_t version, uint32_t index, const wire_sums *sums)
{
    if (!b->open || version != b->version || index >= b->n || b->have[index]) return false;
    b->have[index] = true;
    b->results[index] = *sums;
    b->n_missing--;
    return true;
}

bool eval_board_is_complete(const eval_board *b)
{
    return b->open && b->n_missing == 0;
}

bool eval_board_is_missing(const eval_board *b, uint32_t index)
{
    return b->open && index < b->n && !b->have[index];
}

uint32_t eval_board_n_missing(const eval_board *b)
{
    return b->open ? b->n_missing : 0;
}

uint32_t eval_board_n_micro_batches(const eval_board *b)
{
    return b->open ? b->n : 0;
}

static void add_sums(wire_sums *to, const wire_sums *from)
{
    for (size_t t = 0; t < WIRE_TASKS_MAX; t++) {
        to->loss[t] += from->loss[t];
        to->count[t] += from->count[t];
        to->n_seqs[t] += from->n_seqs[t];
        to->n_exact[t] += from->n_exact[t];
    }
}

static double loss_of(const eval_board *b, const wire_sums *sums)
{
    double loss = 0;
    for (size_t t = 0; t < TASK_COUNT; t++)
        if (sums->count[t] > 0) loss += b->settings.task_weight[t] * sums->loss[t] / sums->count[t];
    return loss;
}

rt_status eval_board_add(eval_board *b, uint64_t version, uint64_t n_records, const wire_sums *sums,
                         rt_error *err)
{
    if (eval_board_find(b, version) != NULL) return RT_OK;
    eval_score *grown = realloc(b->scores, (b->n_scores + 1) * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "scores of versions");
    b->scores = grown;
    student_task task = b->settings.answer_task;
    double n_seqs = (double)sums->n_seqs[task];
    b->scores[b->n_scores++] =
        (eval_score){.version = version,
                     .n_records = n_records,
                     .loss = loss_of(b, sums),
                     .exact = n_seqs > 0 ? (double)sums->n_exact[task] / n_seqs : 0,
                     .sums = *sums};
    return RT_OK;
}

rt_status eval_board_finish(eval_board *b, eval_score *out, rt_error *err)
{
    RT_ASSERT(eval_board_is_complete(b));
    wire_sums total = {0};
    for (uint32_t i = 0; i < b->n; i++) add_sums(&total, &b->results[i]);
    rt_status st = eval_board_add(b, b->version, b->n_records, &total, err);
    if (st != RT_OK) return st;
    b->open = false;
    *out = *eval_board_find(b, b->version);
    return RT_OK;
}

size_t eval_board_n(const eval_board *b)
{
    return b->n_scores;
}

const eval_score *eval_board_at(const eval_board *b, size_t i)
{
    RT_ASSERT(i < b->n_scores);
    return &b->scores[i];
}

const eval_score *eval_board_find(const eval_board *b, uint64_t version)
{
    for (size_t i = 0; i < b->n_scores; i++)
        if (b->scores[i].version == version) return &b->scores[i];
    return NULL;
}

double eval_board_metric(const eval_board *b, const eval_score *s)
{
    return b->settings.by_exact ? s->exact : s->loss;
}

const char *eval_board_metric_name(const eval_board *b)
{
    return b->settings.by_exact ? "exact" : "loss";
}

static bool is_better(const eval_board *b, const eval_score *a, const eval_score *than)
{
    if (a->n_records != than->n_records) return a->n_records > than->n_records;
    double x = eval_board_metric(b, a), y = eval_board_metric(b, than);
    if (x != y) return b->settings.by_exact ? x > y : x < y;
    return a->version < than->version;
}

const eval_score *eval_board_best(const eval_board *b)
{
    const eval_score *best = NULL;
    for (size_t i = 0; i < b->n_scores; i++) {
        const eval_score *s = &b->scores[i];
        if (s->n_records == 0) continue;
        if (best == NULL || is_better(b, s, best)) best = s;
    }
    return best;
}

student_task eval_board_answer_task(const eval_board *b)
{
    return b->settings.answer_task;
}
