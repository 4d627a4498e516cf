#include <criterion/criterion.h>

#include "common/base/rng.h"
#include "coordinator/lease_table.h"

static lease_table *t;

static void close_table(void)
{
    lease_table_free(t);
    t = NULL;
}

TestSuite(lease_table, .fini = close_table);

static void open_table(uint64_t n, uint64_t shard_size)
{
    cr_assert_eq(lease_table_new(n, shard_size, 100, &t, NULL), RT_OK);
}

static bool grant(const char *worker, uint32_t n_held, uint64_t now, lease *out)
{
    bool granted = false;
    cr_assert_eq(lease_table_grant(t, worker, n_held, now, out, &granted, NULL), RT_OK);
    return granted;
}

static void archive_shard(uint64_t shard)
{
    uint64_t n, first = lease_table_range(t, shard, &n);
    for (uint64_t i = first; i < first + n; i++) lease_table_archived(t, i);
}

Test(lease_table, grants_in_corpus_order_until_all_is_leased)
{
    lease l;
    open_table(25, 10);
    for (uint64_t k = 0; k < 3; k++) {
        cr_assert(grant("a", (uint32_t)k, 0, &l));
        cr_expect_eq(l.shard, k);
    }
    cr_expect_not(grant("b", 0, 0, &l));
}

Test(lease_table, clips_the_last_shard_at_the_end_of_the_corpus)
{
    uint64_t n;
    open_table(25, 10);
    cr_expect_eq(lease_table_range(t, 2, &n), 20);
    cr_expect_eq(n, 5);
}

Test(lease_table, grants_again_what_a_worker_does_not_know_of)
{
    lease first, again;
    open_table(30, 10);
    cr_assert(grant("a", 0, 0, &first));
    cr_assert(grant("a", 0, 50, &again));
    cr_expect_eq(again.id, first.id);
    cr_expect_eq(again.deadline_ms, 150);
    cr_assert(grant("a", 1, 60, &again));
    cr_expect_eq(again.shard, 1);
}

Test(lease_table, gives_a_shard_back_when_its_time_is_over_and_not_before)
{
    lease l;
    open_table(10, 10);
    cr_assert(grant("a", 0, 0, &l));
    cr_expect_eq(lease_table_expire(t, 100), 0);
    lease_table_renew(t, "a", 100);
    cr_expect_eq(lease_table_expire(t, 200), 0);
    cr_expect_eq(lease_table_expire(t, 201), 1);
    cr_assert(grant("b", 0, 201, &l));
    cr_expect_eq(l.shard, 0);
}

Test(lease_table, gives_all_shards_of_a_dead_worker_back)
{
    lease l;
    open_table(30, 10);
    grant("a", 0, 0, &l);
    grant("b", 0, 0, &l);
    grant("a", 1, 0, &l);
    cr_expect_eq(lease_table_return(t, "a"), 2);
    cr_assert(grant("c", 0, 0, &l));
    cr_expect_eq(l.shard, 0);
}

Test(lease_table, completes_a_shard_whoever_wrote_its_examples)
{
    lease l;
    lease_counts c;
    open_table(10, 10);
    grant("a", 0, 0, &l);
    archive_shard(0);
    archive_shard(0);
    lease_table_count(t, &c);
    cr_expect_eq(c.n_shards_done, 1);
    cr_expect_eq(c.n_examples_leased + c.n_examples_pending, 0);
    cr_expect(lease_table_all_done(t));
    cr_expect_not(lease_table_told_done(t, "a", l.shard, l.id));
}

Test(lease_table, redelivers_a_finished_shard_whose_records_vanished)
{
    lease l, again;
    open_table(10, 5);
    grant("a", 0, 0, &l);
    lease_table_archived(t, 0);
    cr_expect_eq(lease_table_stream_empty(t), 0);
    cr_expect(lease_table_told_done(t, "a", l.shard, l.id));
    cr_expect_eq(lease_table_stream_empty(t), 1);
    cr_assert(grant("b", 0, 0, &again));
    cr_expect_eq(again.shard, l.shard);
    cr_expect(lease_table_is_archived(t, 0));
}

Test(lease_table, ignores_a_late_done_of_a_lease_that_moved_on)
{
    lease l, next;
    open_table(10, 10);
    grant("a", 0, 0, &l);
    lease_table_expire(t, 1000);
    grant("b", 0, 1000, &next);
    cr_expect_not(lease_table_told_done(t, "a", l.shard, l.id));
    cr_expect_eq(lease_table_stream_empty(t), 0);
}

Test(lease_table, knows_when_a_range_is_complete)
{
    open_table(25, 10);
    archive_shard(0);
    cr_expect(lease_table_range_done(t, 0, 10));
    cr_expect_not(lease_table_range_done(t, 0, 11));
    for (uint64_t i = 10; i < 15; i++) lease_table_archived(t, i);
    cr_expect(lease_table_range_done(t, 0, 15));
    archive_shard(1);
    archive_shard(2);
    cr_expect(lease_table_range_done(t, 0, 1000));
}

Test(lease_table, holds_an_empty_corpus)
{
    lease l;
    open_table(0, 10);
    cr_expect(lease_table_all_done(t));
    cr_expect_not(grant("a", 0, 0, &l));
}

/* A teacher of the simulation: a shard in hand, some of its records perhaps lost on the way. */
typedef struct sim_teacher {
    bool holds;
    lease l;
} sim_teacher;

typedef struct sim {
    rng_key key;
    uint64_t i;
    uint64_t now;
    sim_teacher teachers[4];
} sim;

static uint64_t sim_below(sim *s, uint64_t n)
{
    return rng_below(s->key, s->i++, n);
}

/* The teacher labels; each record is lost with its stream at times. */
static void sim_work(sim *s, unsigned w, const char *name)
{
    sim_teacher *teacher = &s->teachers[w];
    uint64_t n, first = lease_table_range(t, teacher->l.shard, &n);
    bool flushed = sim_below(s, 4) == 0;
    for (uint64_t i = first; i < first + n; i++)
        if (!flushed || sim_below(s, 2) == 0) lease_table_archived(t, i);
    if (sim_below(s, 8) != 0) (void)lease_table_told_done(t, name, teacher->l.shard, teacher->l.id);
    teacher->holds = false;
}

static void sim_act(sim *s)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    unsigned w = (unsigned)sim_below(s, 4);
    sim_teacher *teacher = &s->teachers[w];
    switch (sim_below(s, 6)) {
    case 0:
    case 1: /* ask; the answer may be lost */
        if (teacher->holds) break;
        if (grant(names[w], 0, s->now, &teacher->l)) teacher->holds = sim_below(s, 5) != 0;
        break;
    case 2:
        if (teacher->holds) sim_work(s, w, names[w]);
        break;
    case 3: lease_table_renew(t, names[w], s->now); break;
    case 4: /* kill -9 */
        if (sim_below(s, 4) == 0) {
            teacher->holds = false;
            lease_table_return(t, names[w]);
        }
        break;
    default: lease_table_stream_empty(t); break;
    }
    s->now += sim_below(s, 40);
    lease_table_expire(t, s->now);
}

Test(lease_table, labels_every_example_in_any_order_of_faults)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim s = {.key = rng_key_make(seed, "leases", (rt_id){0}, 0)};
        uint64_t n = 1 + sim_below(&s, 200), n_acts = 0;
        open_table(n, 1 + sim_below(&s, 20));
        while (!lease_table_all_done(t)) {
            cr_assert_lt(n_acts++, 200000, "seed %lu: no end", (unsigned long)seed);
            sim_act(&s);
            uint64_t n_archived = 0;
            lease_counts c;
            for (uint64_t i = 0; i < n; i++) n_archived += lease_table_is_archived(t, i);
            lease_table_count(t, &c);
            cr_assert_eq(n_archived + c.n_examples_leased + c.n_examples_pending, n);
            cr_assert_eq(c.n_shards, c.n_shards_done + c.n_shards_leased + c.n_shards_pending);
        }
        close_table();
    }
}

Test(lease_table, grants_nothing_beyond_its_limit_until_it_is_lifted)
{
    lease l;
    open_table(40, 10);
    lease_table_limit(t, 2);
    cr_assert(grant("a", 0, 0, &l));
    cr_assert(grant("b", 0, 0, &l));
    cr_expect_eq(l.shard, 1);
    cr_expect_not(grant("c", 0, 0, &l));
    archive_shard(0);
    cr_expect_not(grant("a", 0, 0, &l));
    lease_table_return(t, "b"); /* what lies below the limit comes again */
    cr_assert(grant("a", 0, 0, &l));
    cr_expect_eq(l.shard, 1);
    archive_shard(1);
    cr_expect_not(grant("a", 0, 0, &l));
    lease_table_limit(t, UINT64_MAX);
    cr_assert(grant("a", 0, 0, &l));
    cr_expect_eq(l.shard, 2);
}

Test(lease_table, a_closed_table_grants_nothing_new_and_repeats_what_was_granted)
{
    lease first, again;
    open_table(30, 10);
    cr_assert(grant("a", 0, 0, &first));
    lease_table_close(t);
    cr_expect_not(grant("b", 0, 0, &again));
    cr_assert(grant("a", 0, 0, &again));
    cr_expect_eq(again.id, first.id);
    cr_expect_eq(lease_table_return(t, "a"), 1);
    cr_expect_not(grant("a", 0, 0, &again), "what came back is granted again");
    cr_expect_eq(lease_table_n_leases(t), 0);
    cr_expect_not(lease_table_all_done(t));
}

Test(lease_table, a_finished_table_leaves_out_what_is_missing_and_still_counts_it)
{
    lease_counts counts;
    open_table(30, 10);
    archive_shard(1);
    cr_expect_not(lease_table_range_done(t, 0, 10));
    lease_table_finish(t);
    cr_expect(lease_table_all_done(t));
    cr_expect(lease_table_range_done(t, 0, 30));
    cr_expect_not(lease_table_is_archived(t, 0));
    lease_table_count(t, &counts);
    cr_expect_eq(counts.n_examples_pending, 20);
}

/* ---- examples that kill whoever works on them ---- */

static void die_with(uint64_t n, lease *out)
{
    for (uint64_t i = 0; i < n; i++) {
        cr_assert(grant("w", 0, 0, out));
        cr_assert_eq(lease_table_return(t, "w"), 1);
    }
}

Test(lease_table, hands_out_one_at_a_time_when_too_many_died_with_a_shard)
{
    lease l;
    lease_counts c;
    open_table(20, 10);
    lease_table_blame_after(t, 3);
    die_with(3, &l);
    cr_expect_eq(l.only, LEASE_WHOLE, "the third still had the whole of it");
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert(grant("w", 0, 0, &l));
        cr_expect_eq(l.shard, 0);
        cr_expect_eq(l.only, i);
        lease_table_told_done(t, "w", l.shard, l.id);
        lease_table_archived(t, i);
        cr_expect_eq(lease_table_n_leases(t), 0, "one alone ends with its example");
    }
    cr_assert(grant("w", 0, 0, &l));
    cr_expect_eq(l.shard, 1);
    cr_expect_eq(l.only, LEASE_WHOLE);
    lease_table_count(t, &c);
    cr_expect_eq(c.n_shards_done, 1);
    cr_expect_eq(c.n_redelivered, 0);
}

Test(lease_table, blames_an_example_and_goes_on_with_the_others)
{
    lease l;
    uint64_t blamed = 0;
    open_table(20, 10);
    lease_table_blame_after(t, 2);
    lease_table_archived(t, 0);
    die_with(4, &l);
    cr_expect_eq(l.only, 1);
    cr_assert(lease_table_blamed(t, &blamed));
    cr_expect_eq(blamed, 1);
    cr_assert(grant("v", 0, 0, &l));
    cr_expect_eq(l.shard, 1, "a shard with a blamed example waits");
    lease_table_archived(t, blamed);
    cr_expect_not(lease_table_blamed(t, &blamed));
    die_with(1, &l);
    cr_expect_eq(l.shard, 0);
    cr_expect_eq(l.only, 2);
    cr_expect_not(lease_table_blamed(t, &blamed), "the second one's deaths are its own");
    die_with(1, &l);
    cr_assert(lease_table_blamed(t, &blamed));
    cr_expect_eq(blamed, 2);
}

Test(lease_table, counts_only_deaths_that_nothing_came_before)
{
    lease l;
    open_table(10, 10);
    lease_table_blame_after(t, 2);
    die_with(1, &l);
    lease_table_archived(t, 4);
    die_with(1, &l);
    cr_assert(grant("w", 0, 0, &l));
    cr_expect_eq(l.only, LEASE_WHOLE);
    lease_table_told_done(t, "w", l.shard, l.id);
    lease_table_return(t, "w");
    cr_assert(grant("w", 0, 0, &l));
    cr_expect_eq(l.only, LEASE_WHOLE, "who has told that all is done did not die of it");
}

Test(lease_table, what_is_given_back_is_pending_at_once_and_nobody_died)
{
    lease l;
    lease_counts c;
    uint64_t blamed = 0;
    open_table(2, 2);
    lease_table_blame_after(t, 1);
    for (int i = 0; i < 5; i++) {
        cr_assert(grant("a", 0, 0, &l));
        cr_expect_not(lease_table_give_back(t, "b", l.shard, l.id));
        cr_expect_not(lease_table_give_back(t, "a", l.shard, l.id + 1));
        cr_expect(lease_table_give_back(t, "a", l.shard, l.id));
        cr_expect_not(lease_table_give_back(t, "a", l.shard, l.id), "a repeat does nothing");
        cr_expect_eq(l.only, LEASE_WHOLE);
    }
    lease_table_count(t, &c);
    cr_expect_eq(c.n_shards_pending, 1);
    cr_expect_eq(c.n_examples_leased, 0);
    cr_expect_eq(c.n_returned, 5);
    cr_expect_eq(lease_table_return(t, "a"), 0);
    cr_expect_not(lease_table_blamed(t, &blamed));
}

Test(lease_table, never_blames_without_a_limit)
{
    lease l;
    uint64_t blamed = 0;
    open_table(10, 10);
    die_with(1000, &l);
    cr_expect_eq(l.only, LEASE_WHOLE);
    cr_expect_not(lease_table_blamed(t, &blamed));
}
