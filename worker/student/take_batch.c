#include "worker/student/take_batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/wire/messages.h"
#include "common/wire/seal.h"

void held_batch_free(held_batch *held)
{
    free(held->entry.bytes);
    micro_batch_free(&held->batch);
    *held = (held_batch){0};
}

void batch_hand_free(batch_hand *hand)
{
    if (hand == NULL) return;
    for (size_t i = 0; i < hand->n; i++) held_batch_free(&hand->items[i]);
    hand->n = 0;
}

void batch_hand_add(batch_hand *hand, queue_entry *entry, micro_batch *batch, uint64_t generation,
                    uint64_t now_ms)
{
    RT_ASSERT(hand->n < BATCH_HAND_MAX);
    hand->items[hand->n++] = (held_batch){
        .entry = *entry, .batch = *batch, .generation = generation, .taken_ms = now_ms};
    *entry = (queue_entry){0};
    *batch = (micro_batch){0};
}

static bool comes_before(const micro_batch *a, const micro_batch *b)
{
    if (a->step != b->step) return a->step < b->step;
    if (a->kind != b->kind) return a->kind == MICRO_BATCH_EVALUATE;
    return a->index < b->index;
}

held_batch *batch_hand_lowest(batch_hand *hand)
{
    held_batch *lowest = NULL;
    for (size_t i = 0; i < hand->n; i++)
        if (lowest == NULL || comes_before(&hand->items[i].batch, &lowest->batch))
            lowest = &hand->items[i];
    return lowest;
}

void batch_hand_drop(batch_hand *hand, held_batch *held)
{
    held_batch out;
    batch_hand_move_out(hand, held, &out);
    held_batch_free(&out);
}

void batch_hand_move_out(batch_hand *hand, held_batch *held, held_batch *out)
{
    size_t i = (size_t)(held - hand->items);
    RT_ASSERT(i < hand->n);
    *out = *held;
    hand->n--;
    memmove(held, held + 1, (hand->n - i) * sizeof *held);
}

void batch_hand_put_back(batch_hand *hand, held_batch *held)
{
    RT_ASSERT(hand->n < BATCH_HAND_MAX);
    hand->items[hand->n++] = *held;
    *held = (held_batch){0};
}

bool batch_hand_wants_more(batch_hand *hand, uint64_t generation, uint64_t now_ms)
{
    const held_batch *lowest = batch_hand_lowest(hand);
    if (lowest == NULL) return true;
    return lowest->generation != generation || now_ms - lowest->taken_ms > BATCH_PATIENCE_MS;
}

static rt_status take_entry(queue *q, const queue_names *names, queue_entry *entry,
                            uint64_t generation, batch_hand *hand, size_t *n_taken, rt_error *err)
{
    rt_error why = {0};
    micro_batch batch = {0};
    size_t n_bytes = entry->n_bytes;
    if (wire_unseal(entry->bytes, &n_bytes, &why) != RT_OK ||
        wire_decode_micro_batch(entry->bytes, n_bytes, &batch, &why) != RT_OK) {
        rt_log_error("student.bad_entry", "id=%s %s", entry->id, why.text);
        return queue_bury(q, names->batches, entry, names->dead, why.text, err);
    }
    batch_hand_add(hand, entry, &batch, generation, rt_clock_mono_ms());
    ++*n_taken;
    return RT_OK;
}

rt_status take_batch(queue *q, const queue_names *names, const char *consumer, bool pending,
                     size_t n_max, uint64_t block_ms, uint64_t generation, batch_hand *hand,
                     size_t *n_taken, rt_error *err)
{
    queue_entry entries[BATCH_HAND_MAX] = {0};
    size_t n = 0, n_good = 0;
    n_max = RT_MIN(n_max, BATCH_HAND_MAX - hand->n);
    rt_status st =
        queue_read(q, names->batches, consumer, pending, n_max, block_ms, entries, &n, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = take_entry(q, names, &entries[i], generation, hand, &n_good, err);
    queue_entries_free(entries, n);
    *n_taken = n_good;
    return st;
}

static int compare_held(const void *a, const void *b)
{
    const micro_batch *left = &((const held_batch *)a)->batch;
    const micro_batch *right = &((const held_batch *)b)->batch;
    return comes_before(left, right) ? -1 : comes_before(right, left);
}

/* In their order, so that the stream stays sorted and the next step is found where it should be. */
rt_status give_back(queue *q, const queue_names *names, size_t n, batch_hand *hand, rt_error *err)
{
    rt_status st = RT_OK;
    qsort(hand->items, hand->n, sizeof *hand->items, compare_held);
    size_t first = hand->n - RT_MIN(n, hand->n);
    while (st == RT_OK && hand->n > first) {
        held_batch *far = &hand->items[first];
        const queue_entry *e = &far->entry;
        st = queue_add(q, names->batches, e->bytes, e->n_bytes, e->attempts, err);
        if (st == RT_OK) st = queue_ack(q, names->batches, e, 1, err);
        if (st == RT_OK) batch_hand_drop(hand, far);
    }
    return st;
}
