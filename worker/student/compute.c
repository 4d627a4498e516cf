#include "worker/student/compute.h"

#include <math.h>
#include <stdlib.h>

_Static_assert((int)TASK_COUNT <= LOSS_TASKS_MAX, "every task has a loss");
_Static_assert((int)LOSS_TASKS_MAX <= WIRE_TASKS_MAX, "every loss has a place in a message");

void compute_space_free(compute_space *space)
{
    if (space == NULL) return;
    free(space->seqs);
    *space = (compute_space){0};
}

static rt_status pack(const micro_batch *b, compute_space *space, packed_batch *out, rt_error *err)
{
    if (b->n_seqs > space->capacity) {
        packed_seq *grown = realloc(space->seqs, b->n_seqs * sizeof *grown);
        if (grown == NULL) return rt_fail(err, RT_NOMEM, "%zu sequences", b->n_seqs);
        space->seqs = grown;
        space->capacity = b->n_seqs;
    }
    for (size_t i = 0; i < b->n_seqs; i++) {
        const micro_batch_seq *s = &b->seqs[i];
        space->seqs[i] = (packed_seq){.first = s->first,
                                      .n_prompt = s->n_prompt,
                                      .n_target = s->n_target,
                                      .task = (uint32_t)s->task,
                                      .weight = s->weight,
                                      .record_id = s->record_id};
    }
    *out = (packed_batch){.ids = b->ids,
                          .n_tokens = b->n_ids,
                          .seqs = space->seqs,
                          .n_seqs = b->n_seqs,
                          .seed = b->seed,
                          .epoch = b->epoch};
    return RT_OK;
}

static wire_sums sums_of(const loss_sums *from)
{
    wire_sums to = {0};
    for (size_t i = 0; i < LOSS_TASKS_MAX; i++) {
        to.loss[i] = isfinite(from->loss[i]) ? from->loss[i] : COMPUTE_LOSS_LOST;
        to.count[i] = from->count[i];
        to.n_seqs[i] = from->n_seqs[i];
        to.n_exact[i] = from->n_exact[i];
    }
    return to;
}

/* In float32 whatever the training multiplies: validation compares versions, and runs. */
static rt_status evaluate(model *m, const packed_batch *packed, const loss_spec *spec,
                          loss_sums *found, rt_error *err)
{
    compute_mode training = model_compute(m);
    rt_status st = model_set_compute(m, COMPUTE_F32, err);
    if (st == RT_OK) st = model_evaluate(m, packed, spec, found, err);
    if (training == COMPUTE_F32) return st;
    rt_status back = model_set_compute(m, training, st == RT_OK ? err : NULL);
    return st == RT_OK ? back : st;
}

rt_status compute_batch(model *m, const micro_batch *batch, compute_space *space, wire_sums *sums,
                        rt_error *err)
{
    packed_batch packed;
    loss_sums found;
    loss_spec spec = {.n_tasks = TASK_COUNT};
    rt_status st = pack(batch, space, &packed, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < TASK_COUNT; i++)
        spec.tasks[i] = (loss_task){.weight = batch->task_weight[i], .count = batch->task_count[i]};
    if (batch->kind == MICRO_BATCH_EVALUATE)
        st = evaluate(m, &packed, &spec, &found, err);
    else
        st = model_gradient(m, &packed, &spec, &found, err);
    if (st == RT_OK) *sums = sums_of(&found);
    return st;
}
