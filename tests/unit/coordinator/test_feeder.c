#include <criterion/criterion.h>

#include "coordinator/feeder.h"

static feeder make(void)
{
    return (feeder){
        .settings = {
            .lookahead_steps = 3, .batches_max = 100, .micro_batches = 2, .stall_ms = 5000}};
}

/* Publish all that may go out; returns the step behind the last. */
static uint64_t publish(feeder *f, uint64_t limit, uint64_t n_planned)
{
    uint64_t step;
    while (feeder_next(f, limit, n_planned, &step)) feeder_published(f);
    return f->next;
}

Test(feeder, publishes_the_window_and_no_more)
{
    feeder f = make();
    cr_expect_eq(publish(&f, 100, 100), 3);
    feeder_set_version(&f, 2);
    cr_expect_eq(publish(&f, 100, 100), 5);
}

Test(feeder, stops_at_the_mark_and_at_the_end_of_the_plan)
{
    feeder f = make();
    cr_expect_eq(publish(&f, 2, 100), 2);
    cr_expect_eq(publish(&f, 100, 1), 2);
    feeder_set_version(&f, 2);
    cr_expect_eq(publish(&f, 2, 100), 2);
    cr_expect_eq(publish(&f, 100, 4), 4);
}

Test(feeder, lets_one_step_out_however_small_the_queue)
{
    feeder f = make();
    f.settings.batches_max = 1;
    cr_expect_eq(publish(&f, 100, 100), 1);
    feeder_set_version(&f, 1);
    cr_expect_eq(publish(&f, 100, 100), 2);
    f.settings.batches_max = 4;
    cr_expect_eq(publish(&f, 100, 100), 3);
}

Test(feeder, starts_again_from_the_version_after_a_rewind)
{
    feeder f = make();
    feeder_set_version(&f, 10);
    publish(&f, 100, 100);
    feeder_rewind(&f, 4);
    cr_expect_eq(f.next, 4);
    cr_expect_not(feeder_is_resend(&f, 4));
    cr_expect_eq(publish(&f, 100, 100), 7);
}

Test(feeder, publishes_anew_what_a_shard_lost_of_the_very_version_it_restores)
{
    feeder f = make();
    feeder_set_version(&f, 10);
    cr_expect_eq(publish(&f, 100, 100), 13);
    feeder_resend(&f);
    feeder_rewind(&f, 10);
    cr_expect_eq(f.next, 10);
    cr_expect_not(feeder_is_resend(&f, 10), "what was received is forgotten");
    cr_expect_eq(publish(&f, 100, 100), 13);
}

Test(feeder, sends_again_what_a_flushed_stream_held)
{
    feeder f = make();
    publish(&f, 100, 100);
    feeder_resend(&f);
    cr_expect_eq(f.n_resends, 1);
    cr_expect(feeder_is_resend(&f, 2));
    cr_expect_not(feeder_is_resend(&f, 3));
    cr_expect_eq(publish(&f, 100, 100), 3);
}

Test(feeder, sees_a_lost_stream_after_a_second_and_a_stall_after_its_time)
{
    feeder f = make();
    publish(&f, 100, 100);
    cr_expect_not(feeder_watch(&f, 1, true, true, 0));
    cr_expect_not(feeder_watch(&f, 1, true, true, 500));
    cr_expect(feeder_watch(&f, 1, true, true, 1600));
    cr_expect_not(feeder_watch(&f, 2, true, false, 2000));
    cr_expect_not(feeder_watch(&f, 2, true, false, 6900));
    cr_expect(feeder_watch(&f, 2, true, false, 7000));
    cr_expect_not(feeder_watch(&f, 2, true, false, 16999));
    cr_expect(feeder_watch(&f, 2, true, false, 17000));
    cr_expect_not(feeder_watch(&f, 3, true, false, 17001));
    cr_expect(feeder_watch(&f, 3, true, false, 22001));
}

Test(feeder, does_not_watch_while_there_is_nothing_to_gather)
{
    feeder f = make();
    publish(&f, 100, 100);
    for (uint64_t now = 0; now < 100000; now += 1000)
        cr_expect_not(feeder_watch(&f, 1, false, true, now));
    feeder idle = make();
    for (uint64_t now = 0; now < 100000; now += 1000)
        cr_expect_not(feeder_watch(&idle, 1, true, true, now));
}

Test(feeder, what_an_earlier_life_may_have_sent_waits_for_room_too)
{
    feeder f = {.settings = make().settings};
    uint64_t n = f.settings.lookahead_steps;
    feeder_set_version(&f, 5);
    cr_expect_not(feeder_must_wait(&f, 5, 70, 6, 70));
    cr_expect(feeder_must_wait(&f, 6, 65, 6, 70));
    cr_expect_not(feeder_must_wait(&f, 6, 64, 6, 70));
    cr_expect_not(feeder_must_wait(&f, 5 + n, 70, 6, 70), "nobody can have sent that");
    feeder_set_version(&f, 6);
    cr_expect_not(feeder_must_wait(&f, 5 + n, 70, 6, 70));
    feeder_rewind(&f, 2); /* maybe without Redis: what lay there may still lie there */
    cr_expect(feeder_must_wait(&f, 3, 65, 6, 70));
}

Test(feeder, what_is_sent_again_waits_for_room_but_for_the_step_that_is_needed_now)
{
    feeder f = make();
    publish(&f, 100, 100);
    cr_expect_not(feeder_must_wait(&f, 1, 70, 6, 70), "nothing is sent again");
    feeder_resend(&f);
    cr_expect_not(feeder_must_wait(&f, f.version, 70, 6, 70));
    cr_expect(feeder_must_wait(&f, f.version + 1, 65, 6, 70));
    cr_expect_not(feeder_must_wait(&f, f.version + 1, 64, 6, 70));
    cr_expect_not(feeder_must_wait(&f, 3, 70, 6, 70), "the window bounds what is new");
}
