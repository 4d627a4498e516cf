#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/messages.h"
#include "worker/student/take_batch.h"

static void add(batch_hand *hand, micro_batch_kind kind, uint64_t step, uint32_t index,
                uint64_t generation, uint64_t now_ms)
{
    queue_entry entry = {.bytes = malloc(1), .n_bytes = 1};
    micro_batch batch = {.kind = kind, .step = step, .index = index, .ids = malloc(4)};
    batch_hand_add(hand, &entry, &batch, generation, now_ms);
    cr_expect_null(entry.bytes, "taken");
    cr_expect_null(batch.ids, "taken");
}

Test(batch_hand, lowest_step_comes_first_then_evaluation_then_index)
{
    batch_hand hand = {0};
    add(&hand, MICRO_BATCH_TRAIN, 9, 0, 1, 0);
    add(&hand, MICRO_BATCH_TRAIN, 7, 2, 1, 0);
    add(&hand, MICRO_BATCH_TRAIN, 7, 1, 1, 0);
    add(&hand, MICRO_BATCH_EVALUATE, 7, 5, 1, 0);
    static const uint32_t expected[] = {5, 1, 2, 0};
    for (size_t i = 0; i < RT_COUNT(expected); i++) {
        held_batch *lowest = batch_hand_lowest(&hand);
        cr_assert_not_null(lowest);
        cr_expect_eq(lowest->batch.index, expected[i]);
        batch_hand_drop(&hand, lowest);
    }
    cr_expect_null(batch_hand_lowest(&hand));
    batch_hand_free(&hand);
}

Test(batch_hand, takes_more_only_when_empty_or_stuck)
{
    batch_hand hand = {0};
    cr_expect(batch_hand_wants_more(&hand, 1, 1000));
    add(&hand, MICRO_BATCH_TRAIN, 9, 0, 1, 1000);
    cr_expect_not(batch_hand_wants_more(&hand, 1, 1000 + BATCH_PATIENCE_MS));
    cr_expect(batch_hand_wants_more(&hand, 1, 1001 + BATCH_PATIENCE_MS), "patience is over");
    cr_expect(batch_hand_wants_more(&hand, 2, 1000), "the run went back");
    add(&hand, MICRO_BATCH_TRAIN, 4, 0, 2, 1000);
    cr_expect_not(batch_hand_wants_more(&hand, 2, 1000), "the lowest one is of this time");
    for (uint32_t i = 2; i < BATCH_HAND_MAX; i++) add(&hand, MICRO_BATCH_TRAIN, 9, i, 1, 0);
    cr_expect(batch_hand_wants_more(&hand, 3, 100000), "what is needed may lie behind");
    batch_hand_free(&hand);
}

Test(batch_hand, what_is_being_pushed_can_come_back)
{
    batch_hand hand = {0};
    held_batch pushing;
    for (uint32_t i = 0; i < 3; i++) add(&hand, MICRO_BATCH_TRAIN, 7, i, 1, 0);
    batch_hand_move_out(&hand, batch_hand_lowest(&hand), &pushing);
    cr_expect_eq(pushing.batch.index, 0);
    cr_expect_eq(hand.n, 2);
    cr_expect_eq(batch_hand_lowest(&hand)->batch.index, 1);
    batch_hand_put_back(&hand, &pushing);
    cr_expect_null(pushing.batch.ids);
    cr_expect_eq(hand.n, 3);
    cr_expect_eq(batch_hand_lowest(&hand)->batch.index, 0);
    batch_hand_free(&hand);
}

/* ---- over the in-memory queue ---- */

typedef struct toy_stream {
    uint64_t now_ms;
    queue *q;
    queue_names names;
} toy_stream;

static void toy_stream_open(toy_stream *t)
{
    *t = (toy_stream){0};
    queue_names_of("toy", &t->names);
    cr_assert_eq(queue_open_memory(&t->now_ms, &t->q, NULL), RT_OK);
    cr_assert_eq(queue_ensure(t->q, t->names.batches, NULL, NULL), RT_OK);
}

static void publish(toy_stream *t, uint64_t step, uint32_t index)
{
    uint32_t ids[] = {1, 5, 2};
    micro_batch_seq seq = {.weight = 1, .n_prompt = 2, .n_target = 1};
    micro_batch b = {.step = step,
                     .index = index,
                     .n_micro_batches = 4,
                     .task_weight = {1},
                     .task_count = {1},
                     .ids = ids,
                     .n_ids = 3,
                     .seqs = &seq,
                     .n_seqs = 1};
    rt_buf bytes = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode_micro_batch(&b, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(queue_add(t->q, t->names.batches, bytes.data, bytes.n, 0, NULL), RT_OK);
    rt_buf_free(&bytes);
}

Test(take_batch, malformed_entries_are_put_aside_with_their_reason)
{
    toy_stream t;
    batch_hand hand = {0};
    size_t n = 9;
    uint64_t n_dead = 0, n_left = 0;
    toy_stream_open(&t);
    publish(&t, 3, 1);
    cr_assert_eq(queue_add(t.q, t.names.batches, "\xff\xff garbage", 10, 0, NULL), RT_OK);
    publish(&t, 2, 0);
    cr_assert_eq(take_batch(t.q, &t.names, "student-0", false, 5, 0, 1, &hand, &n, NULL), RT_OK);
    cr_expect_eq(n, 2);
    cr_expect_eq(batch_hand_lowest(&hand)->batch.step, 2);
    cr_assert_eq(queue_length(t.q, t.names.dead, &n_dead, NULL), RT_OK);
    cr_assert_eq(queue_length(t.q, t.names.batches, &n_left, NULL), RT_OK);
    cr_expect_eq(n_dead, 1);
    cr_expect_eq(n_left, 2, "taken is not yet acknowledged");
    batch_hand_free(&hand);
    queue_close(t.q);
}

Test(take_batch, takes_no_more_than_the_hand_holds)
{
    toy_stream t;
    batch_hand hand = {0};
    size_t n = 0;
    toy_stream_open(&t);
    for (uint32_t i = 0; i < 3; i++) publish(&t, 1, i);
    for (uint32_t i = 1; i < BATCH_HAND_MAX; i++) add(&hand, MICRO_BATCH_TRAIN, 9, i, 1, 0);
    cr_assert_eq(take_batch(t.q, &t.names, "student-0", false, 5, 0, 1, &hand, &n, NULL), RT_OK);
    cr_expect_eq(n, 1);
    cr_expect_eq(hand.n, BATCH_HAND_MAX);
    batch_hand_free(&hand);
    queue_close(t.q);
}

Test(take_batch, what_a_dead_self_left_behind_comes_first)
{
    toy_stream t;
    batch_hand before = {0}, after = {0};
    size_t n = 0;
    toy_stream_open(&t);
    publish(&t, 1, 0);
    publish(&t, 1, 1);
    cr_assert_eq(take_batch(t.q, &t.names, "student-0", false, 1, 0, 1, &before, &n, NULL), RT_OK);
    cr_assert_eq(take_batch(t.q, &t.names, "student-0", true, 1, 0, 1, &after, &n, NULL), RT_OK);
    cr_expect_eq(n, 1);
    cr_expect_eq(after.items[0].batch.index, 0);
    batch_hand_free(&before);
    batch_hand_free(&after);
    queue_close(t.q);
}

Test(take_batch, a_stream_that_is_gone_is_told_apart)
{
    toy_stream t;
    batch_hand hand = {0};
    size_t n = 0;
    toy_stream_open(&t);
    cr_assert_eq(queue_drop(t.q, t.names.batches, NULL), RT_OK);
    cr_expect_eq(take_batch(t.q, &t.names, "student-0", false, 1, 0, 1, &hand, &n, NULL),
                 RT_NOTFOUND);
    queue_close(t.q);
}

Test(take_batch, gives_back_the_highest_in_their_order)
{
    toy_stream t;
    batch_hand hand = {0};
    size_t n = 0;
    static const uint64_t steps[] = {7, 3, 9, 8, 1};
    toy_stream_open(&t);
    for (size_t i = 0; i < RT_COUNT(steps); i++) publish(&t, steps[i], 0);
    cr_assert_eq(take_batch(t.q, &t.names, "a", false, 5, 0, 1, &hand, &n, NULL), RT_OK);
    cr_assert_eq(give_back(t.q, &t.names, 3, &hand, NULL), RT_OK);
    cr_assert_eq(hand.n, 2);
    batch_hand_free(&hand);
    cr_assert_eq(take_batch(t.q, &t.names, "b", false, 5, 0, 1, &hand, &n, NULL), RT_OK);
    cr_assert_eq(n, 3);
    for (size_t i = 0; i < 3; i++) cr_expect_eq(hand.items[i].batch.step, 7 + i);
    batch_hand_free(&hand);
    queue_close(t.q);
}

Test(take_batch, a_step_behind_any_number_of_later_ones_is_reached)
{
    toy_stream t;
    batch_hand hand = {0};
    size_t n = 0, n_turns = 0;
    uint64_t n_left = 0;
    toy_stream_open(&t);
    for (uint32_t i = 0; i < 100; i++) publish(&t, 23 + i / 4, i % 4);
    publish(&t, 20, 3);
    while (hand.n == 0 || batch_hand_lowest(&hand)->batch.step != 20) {
        cr_assert_lt(n_turns++, 50, "the hand is full and step 20 never comes");
        if (hand.n == BATCH_HAND_MAX)
            cr_assert_eq(give_back(t.q, &t.names, BATCH_HAND_MAX / 2, &hand, NULL), RT_OK);
        cr_assert_eq(
            take_batch(t.q, &t.names, "student-0", false, BATCH_HAND_MAX, 0, 1, &hand, &n, NULL),
            RT_OK);
    }
    cr_assert_eq(queue_length(t.q, t.names.batches, &n_left, NULL), RT_OK);
    cr_expect_eq(n_left, 101, "nothing was lost and nothing doubled");
    batch_hand_free(&hand);
    queue_close(t.q);
}
