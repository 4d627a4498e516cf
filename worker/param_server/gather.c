#include "worker/param_server/gather.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"

typedef struct early_gradient {
    float *floats;   /* owned; NULL when it is not here or was added */
    slice_rows rows; /* what is in them; its ids are `ids` */
    uint32_t *ids;   /* owned */
    wire_sums sums;
} early_gradient;

struct gather {
    size_t n_floats;
    uint32_t n_max;
    uint64_t step;
    uint32_t n;      /* micro-batches of the step, 0 until the first push */
    uint32_t n_next; /* lowest index that was not added yet */
    float *sum;      /* owned; NULL until index 0 was added */
    wire_sums sums;
    early_gradient *early; /* [n_max] */
    uint8_t *received;     /* [n_max / 8 rounded up] */
    float **spare;         /* [n_max + 1] buffers to use again: a step allocates nothing */
    size_t n_spare;
};

rt_status gather_new(size_t n_floats, uint32_t micro_batches_max, gather **out, rt_error *err)
{
    rt_status st = RT_OK;
    gather *g = rt_calloc(1, sizeof *g);
    if (g == NULL) return rt_fail(err, RT_NOMEM, "gathering of gradients");
    g->n_floats = n_floats;
    g->n_max = micro_batches_max;
    g->early = rt_calloc(micro_batches_max, sizeof *g->early);
    g->received = rt_calloc((size_t)micro_batches_max / 8 + 1, 1);
    g->spare = rt_calloc((size_t)micro_batches_max + 1, sizeof *g->spare);
    if (g->early == NULL || g->received == NULL || g->spare == NULL) {
        st = rt_fail(err, RT_NOMEM, "gathering of %" PRIu32 " gradients", micro_batches_max);
        goto out;
    }
    *out = g;
    g = NULL;
out:
    gather_free(g);
    return st;
}

void gather_free(gather *g)
{
    if (g == NULL) return;
    if (g->early != NULL)
        for (uint32_t i = 0; i < g->n_max; i++) {
            free(g->early[i].floats);
            free(g->early[i].ids);
        }
    for (size_t i = 0; g->spare != NULL && i < g->n_spare; i++) free(g->spare[i]);
    free(g->sum);
    free(g->early);
    free(g->received);
    free(g->spare);
    free(g);
}

float *gather_take_buffer(gather *g)
{
    if (g->n_spare > 0) return g->spare[--g->n_spare];
    return rt_calloc(g->n_floats, sizeof(float));
}

void gather_give_back(gather *g, float *buffer)
{
    if (buffer == NULL) return;
    if (g->n_spare <= g->n_max)
        g->spare[g->n_spare++] = buffer;
    else
        free(buffer);
}

void gather_begin(gather *g, uint64_t step)
{
    for (uint32_t i = 0; i < g->n; i++) {
        gather_give_back(g, g->early[i].floats);
        free(g->early[i].ids);
        g->early[i] = (early_gradient){0};
    }
    gather_give_back(g, g->sum);
    g->sum = NULL;
    g->sums = (wire_sums){0};
    g->step = step;
    g->n = 0;
    g->n_next = 0;
    memset(g->received, 0, (size_t)g->n_max / 8 + 1);
}

static bool is_received(const gather *g, uint32_t index)
{
    return (g->received[index / 8] >> (index % 8) & 1) != 0;
}

rt_status gather_check(const gather *g, const wire_push *push, wire_push_status *status,
                       rt_error *err)
{
    if (push->step < g->step) {
        *status = PUSH_STALE;
        return RT_OK;
    }
    if (push->step > g->step) {
        *status = PUSH_AHEAD;
        return RT_OK;
    }
    if (push->n_micro_batches == 0 || push->n_micro_batches > g->n_max)
        return rt_fail(err, RT_INVALID,
                       "step %" PRIu64 ": found %" PRIu32 " micro-batches, expected 1 to %" PRIu32
                       " (train.micro_batches)",
                       push->step, push->n_micro_batches, g->n_max);
    if (g->n != 0 && push->n_micro_batches != g->n)
        return rt_fail(err, RT_INVALID,
                       "step %" PRIu64 ": found %" PRIu32 " micro-batches, expected %" PRIu32
                       " as in the first push of this step",
                       push->step, push->n_micro_batches, g->n);
    if (push->index >= push->n_micro_batches)
        return rt_fail(err, RT_INVALID,
                       "step %" PRIu64 ": found micro-batch %" PRIu32 ", expected below %" PRIu32,
                       push->step, push->index, push->n_micro_batches);
    if (push->n_floats != g->n_floats)
        return rt_fail(err, RT_INVALID,
                       "step %" PRIu64 " micro-batch %" PRIu32 ": found a gradient of %" PRIu64
                       " floats, expected %zu: student and shard differ in the model's shape",
                       push->step, push->index, push->n_floats, g->n_floats);
    *status = is_received(g, push->index) ? PUSH_DUPLICATE : PUSH_ACCEPTED;
    return RT_OK;
}

/* A sum that holds an infinity or a NaN is one itself, and branch-free code is fast. */
static bool all_finite(const float *values, size_t n)
{
    float sums[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 16; j++) sums[j] += values[i + j] * 0.0f;
    for (size_t j = 0; i + j < n; j++) sums[j] += values[i + j] * 0.0f;
    for (size_t j = 0; j < 16; j++)
        if (sums[j] != 0.0f) return false; /* 0 * infinity is NaN, and NaN differs from all */
    return true;
}

static void add_sums(wire_sums *to, const wire_sums *from)
{
    for (size_t i = 0; i < WIRE_TASKS_MAX; i++) {
        to->loss[i] += from->loss[i];
        to->count[i] += from->count[i];
        to->n_seqs[i] += from->n_seqs[i];
        to->n_exact[i] += from->n_exact[i];
    }
}

/* Add what is next, as far as there is no gap. */
static void add_in_order(gather *g)
{
    while (g->n_next < g->n && g->early[g->n_next].floats != NULL) {
        early_gradient *e = &g->early[g->n_next++];
        add_sums(&g->sums, &e->sums);
        if (g->sum == NULL) {
            slice_rows_spread(&e->rows, e->floats);
            g->sum = e->floats;
        } else {
            slice_rows_add(&e->rows, e->floats, g->sum);
            gather_give_back(g, e->floats);
        }
        free(e->ids);
        e->ids = NULL;
        e->floats = NULL;
    }
}

static rt_status check_finite(const wire_push *push, const float *grad, size_t n, rt_error *err)
{
    if (all_finite(grad, n)) return RT_OK;
    return rt_fail(err, RT_INVALID,
                   "non-finite gradient: step %" PRIu64 " micro-batch %" PRIu32
                   ": lower train.lr or train.clip_norm",
                   push->step, push->index);
}

rt_status gather_note(gather *g, const wire_push *push, const float *grad, wire_push_status *status,
                      rt_error *err)
{
    wire_push_status found = PUSH_STALE;
    rt_status st = gather_check(g, push, &found, err);
    if (st == RT_OK && found == PUSH_ACCEPTED) st = check_finite(push, grad, g->n_floats, err);
    if (st != RT_OK) return st;
    *status = found;
    if (found != PUSH_ACCEPTED) return RT_OK;
    g->n = push->n_micro_batches;
    g->n_next++; /* whatever their order */
    g->received[push->index / 8] |= (uint8_t)(1u << (push->index % 8));
    add_sums(&g->sums, &push->sums);
    return RT_OK;
}

/* Keep it until its turn, which may be now. */
static rt_status keep(gather *g, const wire_push *push, const slice_rows *rows, float **grad,
                      rt_error *err)
{
    early_gradient e = {.floats = *grad, .rows = *rows, .sums = push->sums};
    if (rows->n > 0) {
        e.ids = rt_calloc(rows->n, sizeof *e.ids);
        if (e.ids == NULL) return rt_fail(err, RT_NOMEM, "%zu rows of a gradient", rows->n);
        memcpy(e.ids, rows->ids, rows->n * sizeof *e.ids);
    }
    e.rows.ids = e.ids;
    g->n = push->n_micro_batches;
    g->early[push->index] = e;
    g->received[push->index / 8] |= (uint8_t)(1u << (push->index % 8));
    *grad = NULL;
    return RT_OK;
}

rt_status gather_add(gather *g, const wire_push *push, const slice_rows *rows, float **grad,
                     wire_push_status *status, rt_error *err)
{
    wire_push_status found;
    rt_status st = gather_check(g, push, &found, err);
    if (st != RT_OK) return st;
    RT_ASSERT(rows->n_floats == g->n_floats);
    if (found == PUSH_ACCEPTED) {
        if ((st = check_finite(push, *grad, slice_rows_packed(rows), err)) != RT_OK) return st;
        if ((st = keep(g, push, rows, grad, err)) != RT_OK) return st;
        add_in_order(g);
    }
    *status = found;
    return RT_OK;
}

bool gather_is_complete(const gather *g)
{
    return g->n > 0 && g->n_next == g->n;
}

float *gather_sum(gather *g)
{
    return g->sum;
}

const wire_sums *gather_loss_sums(const gather *g)
{
    return &g->sums;
}

uint32_t gather_n_micro_batches(const gather *g)
{
    return g->n;
}

uint32_t gather_n_added(const gather *g)
{
    return g->n_next;
}

const uint8_t *gather_received(const gather *g, size_t *n_bytes)
{
    *n_bytes = ((size_t)g->n + 7) / 8;
    return g->received;
}
