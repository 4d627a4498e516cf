/* MicroBatch: sequences follow each other in `ids` without gaps, so offsets are not sent. */
#include "common/wire/messages.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/wire/check.h"
#include "proto/queue.pb-c.h"

static bool seqs_to_pb(const micro_batch *b, arena *a, Retort__MicroBatch *pb)
{
    Retort__TrainSequence *seqs = arena_array(a, b->n_seqs, sizeof *seqs);
    uint8_t *record_ids = arena_array(a, b->n_seqs, 16);
    pb->seqs = arena_array(a, b->n_seqs, sizeof(void *));
    if (seqs == NULL || record_ids == NULL || pb->seqs == NULL) return false;
    for (size_t i = 0; i < b->n_seqs; i++) {
        const micro_batch_seq *s = &b->seqs[i];
        retort__train_sequence__init(&seqs[i]);
        wire_id_to_bytes(s->record_id, record_ids + 16 * i);
        seqs[i].record_id = (ProtobufCBinaryData){16, record_ids + 16 * i};
        seqs[i].task = (uint32_t)s->task;
        seqs[i].weight = s->weight;
        seqs[i].n_prompt = s->n_prompt;
        seqs[i].n_target = s->n_target;
        pb->seqs[i] = &seqs[i];
    }
    pb->n_seqs = b->n_seqs;
    return true;
}

static rt_status check_numbers(const Retort__MicroBatch *pb, rt_status bad, rt_error *err)
{
    if (pb->kind > MICRO_BATCH_EVALUATE)
        return rt_fail(err, bad, "micro_batch: kind %u, expected 0 or 1", pb->kind);
    if (pb->index >= pb->n_micro_batches || pb->n_micro_batches > WIRE_MICRO_BATCHES_MAX)
        return rt_fail(err, bad, "micro_batch: index %u of %u", pb->index, pb->n_micro_batches);
    if (pb->n_task_weight > TASK_COUNT || pb->n_task_count > TASK_COUNT)
        return rt_fail(err, bad, "micro_batch: %zu weights and %zu counts for %d tasks",
                       pb->n_task_weight, pb->n_task_count, TASK_COUNT);
    for (size_t i = 0; i < pb->n_task_weight; i++)
        if (pb->task_weight[i] < 0)
            return rt_fail(err, bad, "micro_batch: weight of task %zu is negative", i);
    for (size_t i = 0; i < pb->n_task_count; i++)
        if (pb->task_count[i] < 0)
            return rt_fail(err, bad, "micro_batch: count of task %zu is negative", i);
    return RT_OK;
}

static rt_status check_batch(const Retort__MicroBatch *pb, rt_status bad, rt_error *err)
{
    rt_status st = check_numbers(pb, bad, err);
    if (st != RT_OK) return st;
    size_t n = 0;
    for (size_t i = 0; i < pb->n_seqs; i++) {
        const Retort__TrainSequence *s = pb->seqs[i];
        if (s->record_id.len != 16)
            return rt_fail(err, bad, "micro_batch: record id of sequence %zu is not 16 bytes", i);
        if (s->task >= TASK_COUNT)
            return rt_fail(err, bad, "micro_batch: task %u of sequence %zu is unknown", s->task, i);
        if (s->weight < 0)
            return rt_fail(err, bad, "micro_batch: weight of sequence %zu is negative", i);
        n += (size_t)s->n_prompt + s->n_target;
    }
    if (n != pb->n_ids)
        return rt_fail(err, bad, "micro_batch: sequences cover %zu of %zu ids", n, pb->n_ids);
    return RT_OK;
}

/* A reader derives the offsets, so they must be what it derives. */
static rt_status check_offsets(const micro_batch *b, rt_error *err)
{
    size_t first = 0;
    for (size_t i = 0; i < b->n_seqs; i++) {
        if (b->seqs[i].first != first)
            return rt_fail(err, RT_INVALID, "micro_batch: sequence %zu starts at %u, expected %zu",
                           i, b->seqs[i].first, first);
        first += (size_t)b->seqs[i].n_prompt + b->seqs[i].n_target;
    }
    return RT_OK;
}

rt_status wire_encode_micro_batch(const micro_batch *b, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    arena *a = NULL;
    Retort__MicroBatch pb = RETORT__MICRO_BATCH__INIT;
    float task_weight[TASK_COUNT];
    double task_count[TASK_COUNT];
    if ((st = check_offsets(b, err)) != RT_OK) goto out;
    if ((st = arena_new(4096, &a, err)) != RT_OK) goto out;
    memcpy(task_weight, b->task_weight, sizeof task_weight);
    memcpy(task_count, b->task_count, sizeof task_count);
    pb.kind = (uint32_t)b->kind;
    pb.step = b->step;
    pb.index = b->index;
    pb.n_micro_batches = b->n_micro_batches;
    pb.epoch = b->epoch;
    pb.seed = b->seed;
    pb.task_weight = task_weight;
    pb.n_task_weight = TASK_COUNT;
    pb.task_count = task_count;
    pb.n_task_count = TASK_COUNT;
    pb.ids = b->ids;
    pb.n_ids = b->n_ids;
    if (!seqs_to_pb(b, a, &pb)) {
        st = rt_fail(err, RT_NOMEM, "micro_batch");
        goto out;
    }
    if ((st = check_batch(&pb, RT_INVALID, err)) != RT_OK) goto out;
    st = wire_pack(&pb.base, WIRE_ENVELOPE_MAX, out, err);
out:
    arena_free(a);
    return st;
}

static rt_status batch_from_pb(const Retort__MicroBatch *pb, micro_batch *b, rt_error *err)
{
    uint32_t first = 0;
    b->ids = rt_calloc(pb->n_ids, sizeof *b->ids);
    b->seqs = rt_calloc(pb->n_seqs, sizeof *b->seqs);
    if (b->ids == NULL || b->seqs == NULL) return rt_fail(err, RT_NOMEM, "micro_batch");
    b->kind = (micro_batch_kind)pb->kind;
    b->step = pb->step;
    b->index = pb->index;
    b->n_micro_batches = pb->n_micro_batches;
    b->epoch = pb->epoch;
    b->seed = pb->seed;
    b->n_ids = pb->n_ids;
    b->n_seqs = pb->n_seqs;
    if (pb->n_ids > 0) memcpy(b->ids, pb->ids, pb->n_ids * sizeof *b->ids);
    for (size_t i = 0; i < pb->n_task_weight; i++) b->task_weight[i] = pb->task_weight[i];
    for (size_t i = 0; i < pb->n_task_count; i++) b->task_count[i] = pb->task_count[i];
    for (size_t i = 0; i < pb->n_seqs; i++) {
        const Retort__TrainSequence *s = pb->seqs[i];
        micro_batch_seq *t = &b->seqs[i];
        (void)wire_id_from_bytes(&s->record_id, &t->record_id); /* its size was checked before */
        t->task = (student_task)s->task;
        t->weight = s->weight;
        t->first = first;
        t->n_prompt = s->n_prompt;
        t->n_target = s->n_target;
        first += s->n_prompt + s->n_target;
    }
    return RT_OK;
}

rt_status wire_decode_micro_batch(const void *bytes, size_t n, micro_batch *out, rt_error *err)
{
    rt_status st = RT_OK;
    micro_batch b = {0};
    Retort__MicroBatch *pb = NULL;
    if (n <= WIRE_ENVELOPE_MAX)
        pb = (Retort__MicroBatch *)wire_unpack(&retort__micro_batch__descriptor, bytes, n);
    if (pb == NULL) {
        st = rt_fail(err, RT_CORRUPT, "micro_batch: %zu bytes that do not parse", n);
        goto out;
    }
    if ((st = wire_check(&pb->base, RT_CORRUPT, err)) != RT_OK) goto out;
    if ((st = check_batch(pb, RT_CORRUPT, err)) != RT_OK) goto out;
    if ((st = batch_from_pb(pb, &b, err)) != RT_OK) goto out;
    *out = b;
    b = (micro_batch){0};
out:
    micro_batch_free(&b);
    wire_unpacked_free((ProtobufCMessage *)pb);
    return st;
}
