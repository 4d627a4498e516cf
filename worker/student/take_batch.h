/* Micro-batches in hand: read from the stream, worked on by lowest step first.
 *
 *     in hand    step 7 index 1 | step 9 index 0      a lost step 7 came back at the stream's end
 *     next       step 7 index 1
 *
 * Normally one is in hand. Only while its version does not come is more taken: what everybody waits
 * for may lie behind it (docs/protocol.md, "Steps"). A hand that is full of later steps gives the
 * farthest ones back to the end of the stream, so that what lies behind always comes within reach,
 * however much is before it. The hand is pure; take_batch() reads, give_back() writes.
 *
 *     batch_hand hand = {0};
 *     if (batch_hand_wants_more(&hand, generation, now_ms)) st = take_batch(...);
 *     held_batch *b = batch_hand_lowest(&hand);
 *     ... batch_hand_drop(&hand, b) ...
 */
#ifndef RT_WORKER_STUDENT_TAKE_BATCH_H
#define RT_WORKER_STUDENT_TAKE_BATCH_H

#include "common/dataset/micro_batch.h"
#include "common/queue/queue.h"

#define BATCH_HAND_MAX    16
#define BATCH_PATIENCE_MS 3000

typedef struct held_batch {
    queue_entry entry;
    micro_batch batch;
    uint64_t generation; /* of the run when it was taken */
    uint64_t taken_ms;
} held_batch;

/* Owns its entries; zero-initialise; batch_hand_free(). */
typedef struct batch_hand {
    held_batch items[BATCH_HAND_MAX];
    size_t n;
} batch_hand;

void batch_hand_free(batch_hand *hand);
/* Takes entry and batch: both are empty afterwards. The hand must not be full. */
void batch_hand_add(batch_hand *hand, queue_entry *entry, micro_batch *batch, uint64_t generation,
                    uint64_t now_ms);
/* Lowest step, then kind evaluate, then lowest index; NULL when empty. Valid until the next add or
 * drop. */
held_batch *batch_hand_lowest(batch_hand *hand);
void batch_hand_drop(batch_hand *hand, held_batch *held);
/* Out of the hand, to be done with or put back; *out is the caller's, held_batch_free(). */
void batch_hand_move_out(batch_hand *hand, held_batch *held, held_batch *out);
/* Takes *held, which is empty afterwards. The hand must not be full. */
void batch_hand_put_back(batch_hand *hand, held_batch *held);
void held_batch_free(held_batch *held);
/* Whether to take more: nothing is in hand, or the lowest one has waited too long or comes from the
 * time before a rewind. A full hand makes room first: give_back(). */
bool batch_hand_wants_more(batch_hand *hand, uint64_t generation, uint64_t now_ms);

/* Read up to n_max entries into the hand, waiting at most block_ms for the first. With `pending`
 * those that this consumer left behind when it last died. Malformed ones are put aside with their
 * reason. *n_taken may be 0. */
RT_MUST_USE rt_status take_batch(queue *q, const queue_names *names, const char *consumer,
                                 bool pending, size_t n_max, uint64_t block_ms, uint64_t generation,
                                 batch_hand *hand, size_t *n_taken, rt_error *err);
/* Put the highest n of the hand back at the end of the stream, lowest first. A failure in the middle leaves at
 * worst a copy in the stream, whose effect is dropped by its id. */
RT_MUST_USE rt_status give_back(queue *q, const queue_names *names, size_t n, batch_hand *hand,
                                rt_error *err);

#endif
