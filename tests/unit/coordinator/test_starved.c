/* Who waits for whom, and whether the run is ready. */
#include "coordinator/starved.h"

#include <criterion/criterion.h>
#include <math.h>

/* A run in which all goes well. */
static run_view well(void)
{
    return (run_view){.labels = true,
                      .trains = true,
                      .connected = true,
                      .queue_why = "",
                      .n_teachers = 2,
                      .n_students = 3,
                      .n_servers = 2,
                      .n_servers_wanted = 2,
                      .n_shards_pending = 10,
                      .n_shards_leased = 2,
                      .n_labels_in_stream = 5,
                      .n_labels_max = 100,
                      .plan_is_there = true,
                      .batches_known = true,
                      .n_batches_in_stream = 8,
                      .wait_share = 0.1};
}

static void expect_said(const run_view *v, const char *text)
{
    char now[160] = "x";
    starved_sentence(v, now, sizeof now);
    cr_expect_str_eq(now, text);
}

Test(starved, nobody_waits_when_all_goes_well)
{
    run_view v = well();
    expect_said(&v, "");
    v.wait_share = NAN;
    expect_said(&v, "");
    v.ends = true;
    v.n_batches_in_stream = 0;
    expect_said(&v, "");
}

Test(starved, students_wait)
{
    run_view v = well();
    v.n_batches_in_stream = 0;
    expect_said(&v, "3 students wait for micro-batches: the coordinator sets the pace");
    v.batches_known = false;
    expect_said(&v, "");
    v = well();
    v.n_batches_in_stream = 0;
    v.waits_for_labels = true;
    v.n_students = 1;
    expect_said(&v, "the student waits for labels: the teachers set the pace");
    v.labels = false;
    expect_said(&v, "the student waits for the plan of the training");
    v.tokenizer_trains = true;
    expect_said(&v, "the student waits for the tokenizer, which is being trained");
    v = well();
    v.n_servers = 1;
    expect_said(&v, "3 students wait for a parameter server that is missing");
    v = well();
    v.validates = true;
    v.n_batches_in_stream = 0;
    expect_said(&v, "");
    v = well();
    v.saves = true;
    expect_said(&v, "3 students wait for a checkpoint to be written");
    v.saves = false;
    v.restores = true;
    expect_said(&v, "3 students wait for the parameter servers to load a checkpoint");
    v = well();
    v.wait_share = 0.7;
    expect_said(&v, "3 students wait more than they compute: the parameter servers or other "
                    "students set the pace");
    v.connected = false;
    expect_said(&v, "everybody waits for Redis");
}

Test(starved, teachers_wait)
{
    run_view v = well();
    v.n_shards_pending = 0;
    expect_said(&v, "");
    v.n_shards_leased = 1;
    expect_said(&v, "the teacher waits because the last shards of the corpus are leased");
    v.n_shards_leased = 0;
    v.money_is_out = true;
    expect_said(&v, "2 teachers wait because the budget is spent");
    v.first_rows = true;
    expect_said(&v, "2 teachers wait until the first rows have been looked at");
    v.n_waiting_for_limit = 1;
    expect_said(&v, "the teacher waits for the limits of requests and tokens");
    v.n_labels_in_stream = 100;
    expect_said(&v, "2 teachers wait for the coordinator: the stream of labels is full");
    v.labels = false;
    expect_said(&v, "");
}

static void expect_ready(const run_view *v, const char *text)
{
    char scratch[256];
    cr_expect_str_eq(ready_why_not(v, scratch, sizeof scratch), text);
}

Test(ready, wants_redis_and_a_living_member_of_each_role_that_is_needed_now)
{
    run_view v = well();
    expect_ready(&v, "");
    v.n_teachers = 0;
    expect_ready(&v, "no teacher is alive");
    v.labels = false; /* through: none is needed any more */
    expect_ready(&v, "");
    v.n_students = 0;
    expect_ready(&v, "no student is alive");
    v.n_servers = 1;
    expect_ready(&v, "1 of 2 parameter servers are alive");
    v.trains = false;
    expect_ready(&v, "");
    v.connected = false;
    v.queue_why = "connection refused";
    expect_ready(&v, "Redis does not answer: connection refused");
    v.ends = true;
    expect_ready(&v, "");
}
