/* What both queues promise: every test here runs against memory and against Redis. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/queue/queue.h"
#include "tests/support/redis_fixture.h"

typedef enum queue_kind { IN_MEMORY, IN_REDIS } queue_kind;

static queue_kind both_kinds[] = {IN_MEMORY, IN_REDIS};

typedef struct bench {
    queue_kind kind;
    uint64_t now_ms;
    redis_fixture redis;
    queue *q;
    queue_names names;
} bench;

#define BOTH(name)                                                                \
    static void name(bench *b);                                                   \
    ParameterizedTestParameters(both, name)                                       \
    {                                                                             \
        return cr_make_param_array(queue_kind, both_kinds, RT_COUNT(both_kinds)); \
    }                                                                             \
    ParameterizedTest(queue_kind *kind, both, name)                               \
    {                                                                             \
        bench b;                                                                  \
        bench_open(&b, *kind);                                                    \
        name(&b);                                                                 \
        bench_close(&b);                                                          \
    }                                                                             \
    static void name(bench *b)

static void bench_open(bench *b, queue_kind kind)
{
    rt_error err = {0};
    *b = (bench){.kind = kind, .now_ms = 1000};
    queue_names_of("run-1", &b->names);
    if (kind == IN_REDIS) {
        redis_fixture_start(&b->redis, "");
        cr_assert_eq(queue_open_redis(b->redis.url, "", &b->q, &err), RT_OK, "%s", err.text);
    } else {
        cr_assert_eq(queue_open_memory(&b->now_ms, &b->q, &err), RT_OK, "%s", err.text);
    }
    bool made = false;
    cr_assert_eq(queue_ensure(b->q, b->names.labels, &made, &err), RT_OK, "%s", err.text);
    cr_assert(made);
}

static void bench_close(bench *b)
{
    queue_close(b->q);
    if (b->kind == IN_REDIS) redis_fixture_stop(&b->redis);
}

static void add(bench *b, const char *text)
{
    rt_error err = {0};
    cr_assert_eq(queue_add(b->q, b->names.labels, text, strlen(text), 0, &err), RT_OK, "%s",
                 err.text);
}

/* Read into a static array; the texts are checked and freed by the caller. */
static queue_entry entries[512];

static size_t read_as(bench *b, const char *consumer, bool pending, size_t n_max)
{
    size_t n = 99;
    rt_error err = {0};
    cr_assert_eq(queue_read(b->q, b->names.labels, consumer, pending, n_max, 0, entries, &n, &err),
                 RT_OK, "%s", err.text);
    return n;
}

static void ack(bench *b, size_t n)
{
    rt_error err = {0};
    cr_assert_eq(queue_ack(b->q, b->names.labels, entries, n, &err), RT_OK, "%s", err.text);
}

static uint64_t length_of(bench *b, const char *stream)
{
    uint64_t n = 99;
    cr_assert_eq(queue_length(b->q, stream, &n, NULL), RT_OK);
    return n;
}

static bool is_text(const queue_entry *e, const char *text)
{
    return e->n_bytes == strlen(text) && memcmp(e->bytes, text, e->n_bytes) == 0;
}

BOTH(entries_come_in_order_once_and_are_deleted_by_their_acknowledgement)
{
    add(b, "one");
    add(b, "two");
    add(b, "three");
    cr_assert_eq(length_of(b, b->names.labels), 3);
    cr_assert_eq(read_as(b, "a", false, 2), 2);
    cr_assert(is_text(&entries[0], "one") && is_text(&entries[1], "two"));
    cr_assert_eq(entries[0].attempts, 0);
    cr_assert_eq(length_of(b, b->names.labels), 3, "reading does not delete");
    ack(b, 2);
    cr_assert_eq(length_of(b, b->names.labels), 1);
    ack(b, 2); /* a repeat is harmless */
    queue_entries_free(entries, 2);
    cr_assert_eq(read_as(b, "b", false, 10), 1);
    cr_assert(is_text(&entries[0], "three"));
    queue_entries_free(entries, 1);
    cr_assert_eq(read_as(b, "c", false, 10), 0);
}

BOTH(bytes_of_any_kind_survive)
{
    static const char raw[] = "a\0b\r\n\xff{}";
    cr_assert_eq(queue_add(b->q, b->names.labels, raw, sizeof raw, 3, NULL), RT_OK);
    cr_assert_eq(queue_add(b->q, b->names.labels, "", 0, 0, NULL), RT_OK);
    cr_assert_eq(read_as(b, "a", false, 10), 2);
    cr_assert_eq(entries[0].n_bytes, sizeof raw);
    cr_assert_arr_eq(entries[0].bytes, raw, sizeof raw);
    cr_assert_eq(entries[0].attempts, 3);
    cr_assert_eq(entries[1].n_bytes, 0);
    queue_entries_free(entries, 2);
}

BOTH(many_at_once_keep_their_order)
{
    enum { N = 500 };
    rt_buf items[N] = {{0}};
    for (int i = 0; i < N; i++) cr_assert_eq(rt_buf_printf(&items[i], NULL, "%d", i), RT_OK);
    rt_error err = {0};
    cr_assert_eq(queue_add_many(b->q, b->names.labels, items, N, &err), RT_OK, "%s", err.text);
    cr_assert_eq(read_as(b, "a", false, 512), N);
    for (int i = 0; i < N; i++) cr_assert(is_text(&entries[i], items[i].data), "entry %d", i);
    ack(b, N);
    cr_assert_eq(length_of(b, b->names.labels), 0);
    queue_entries_free(entries, N);
    for (int i = 0; i < N; i++) rt_buf_free(&items[i]);
}

BOTH(what_a_consumer_holds_is_handed_out_again_on_request)
{
    add(b, "held");
    add(b, "new");
    cr_assert_eq(read_as(b, "a", false, 1), 1);
    queue_entries_free(entries, 1);
    cr_assert_eq(read_as(b, "a", true, 10), 1);
    cr_assert(is_text(&entries[0], "held"));
    ack(b, 1);
    queue_entries_free(entries, 1);
    cr_assert_eq(read_as(b, "a", true, 10), 1);
    cr_assert(is_text(&entries[0], "new"));
    queue_entries_free(entries, 1);
}

static void requeue(bench *b, const char *consumer, uint64_t idle_ms, uint32_t attempts_max,
                    size_t want_requeued, size_t want_dead)
{
    size_t n_requeued = 99, n_dead = 99;
    rt_error err = {0};
    cr_assert_eq(queue_requeue(b->q, b->names.labels, consumer, idle_ms, attempts_max,
                               b->names.dead, "worker died", &n_requeued, &n_dead, &err),
                 RT_OK, "%s", err.text);
    cr_assert_eq(n_requeued, want_requeued);
    cr_assert_eq(n_dead, want_dead);
}

BOTH(entries_of_a_dead_consumer_go_back_and_those_of_others_stay)
{
    add(b, "one");
    add(b, "two");
    add(b, "three");
    cr_assert_eq(read_as(b, "dead", false, 2), 2);
    queue_entries_free(entries, 2);
    cr_assert_eq(read_as(b, "alive", false, 1), 1);
    queue_entries_free(entries, 1);
    requeue(b, "dead", 0, 5, 2, 0);
    requeue(b, "dead", 0, 5, 0, 0);
    requeue(b, "nobody", 0, 5, 0, 0);
    cr_assert_eq(length_of(b, b->names.labels), 3);
    cr_assert_eq(read_as(b, "alive", false, 10), 2);
    cr_assert(is_text(&entries[0], "one") && is_text(&entries[1], "two"));
    cr_assert_eq(entries[0].attempts, 1);
    queue_entries_free(entries, 2);
}

BOTH(more_entries_than_one_round_takes_all_go_back)
{
    for (int i = 0; i < 250; i++) add(b, "x");
    cr_assert_eq(read_as(b, "dead", false, 512), 250);
    queue_entries_free(entries, 250);
    requeue(b, "dead", 0, 5, 250, 0);
    cr_assert_eq(length_of(b, b->names.labels), 250);
    cr_assert_eq(read_as(b, "alive", false, 512), 250);
    queue_entries_free(entries, 250);
}

BOTH(an_entry_delivered_too_often_goes_to_the_dead)
{
    add(b, "poison");
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(read_as(b, "a", false, 10), 1);
        cr_assert_eq(entries[0].attempts, i);
        queue_entries_free(entries, 1);
        requeue(b, "a", 0, 2, 1, 0);
    }
    cr_assert_eq(read_as(b, "a", false, 10), 1);
    cr_assert_eq(entries[0].attempts, 2);
    queue_entries_free(entries, 1);
    requeue(b, "a", 0, 2, 0, 1);
    cr_assert_eq(length_of(b, b->names.labels), 0);
    cr_assert_eq(length_of(b, b->names.dead), 1);
}

/* Make everything that is pending look old. */
static void grow_old(bench *b, uint64_t ms)
{
    b->now_ms += ms;
    if (b->kind == IN_MEMORY) return;
    redisReply *list =
        redis_fixture_command(&b->redis, "XPENDING %s retort - + 100", b->names.labels);
    for (size_t i = 0; i < list->elements; i++)
        freeReplyObject(
            redis_fixture_command(&b->redis, "XCLAIM %s retort %s 0 %s IDLE %llu JUSTID",
                                  b->names.labels, list->element[i]->element[1]->str,
                                  list->element[i]->element[0]->str, (unsigned long long)ms));
    freeReplyObject(list);
}

BOTH(entries_that_are_idle_go_back_whoever_holds_them)
{
    add(b, "old");
    add(b, "young");
    cr_assert_eq(read_as(b, "a", false, 1), 1);
    queue_entries_free(entries, 1);
    grow_old(b, 120000);
    cr_assert_eq(read_as(b, "b", false, 1), 1);
    queue_entries_free(entries, 1);
    requeue(b, NULL, 60000, 5, 1, 0);
    cr_assert_eq(read_as(b, "c", false, 10), 1);
    cr_assert(is_text(&entries[0], "old"));
    cr_assert_eq(entries[0].attempts, 1);
    queue_entries_free(entries, 1);
}

BOTH(a_buried_entry_is_put_aside_once)
{
    add(b, "bad");
    cr_assert_eq(read_as(b, "a", false, 10), 1);
    for (int i = 0; i < 2; i++) /* the second one is a repeat after a lost answer */
        cr_assert_eq(queue_bury(b->q, b->names.labels, &entries[0], b->names.dead, "no id", NULL),
                     RT_OK);
    queue_entries_free(entries, 1);
    cr_assert_eq(length_of(b, b->names.labels), 0);
    cr_assert_eq(length_of(b, b->names.dead), 1);
}

BOTH(the_newest_entries_can_be_looked_at_and_stay_as_they_are)
{
    size_t n = 99;
    cr_assert_eq(queue_newest(b->q, b->names.dead, 2, entries, &n, NULL), RT_OK, "no stream");
    cr_assert_eq(n, 0);
    add(b, "one");
    add(b, "two");
    cr_assert_eq(queue_add(b->q, b->names.labels, "three", 5, 7, NULL), RT_OK);
    cr_assert_eq(read_as(b, "a", false, 1), 1);
    queue_entries_free(entries, 1);
    cr_assert_eq(queue_newest(b->q, b->names.labels, 2, entries, &n, NULL), RT_OK);
    cr_assert_eq(n, 2);
    cr_assert(is_text(&entries[0], "three") && is_text(&entries[1], "two"));
    cr_assert_eq(entries[0].attempts, 7);
    queue_entries_free(entries, n);
    cr_assert_eq(queue_newest(b->q, b->names.labels, 9, entries, &n, NULL), RT_OK);
    cr_assert_eq(n, 3, "read or not");
    queue_entries_free(entries, n);
    cr_assert_eq(read_as(b, "b", false, 9), 2, "nobody was handed anything");
    queue_entries_free(entries, 2);
}

BOTH(a_stream_that_is_gone_is_reported_and_can_be_made_again)
{
    bool made = true;
    size_t n = 99;
    cr_assert_eq(queue_ensure(b->q, b->names.labels, &made, NULL), RT_OK);
    cr_assert_not(made);
    cr_assert_eq(queue_ensure(b->q, b->names.labels, NULL, NULL), RT_OK);
    cr_assert_eq(queue_drop(b->q, b->names.labels, NULL), RT_OK);
    cr_assert_eq(queue_drop(b->q, b->names.labels, NULL), RT_OK);
    cr_assert_eq(length_of(b, b->names.labels), 0);
    cr_assert_eq(queue_add(b->q, b->names.labels, "x", 1, 0, NULL), RT_NOTFOUND);
    cr_assert_eq(queue_read(b->q, b->names.labels, "a", false, 1, 0, entries, &n, NULL),
                 RT_NOTFOUND);
    cr_assert_eq(n, 0);
    cr_assert_eq(
        queue_requeue(b->q, b->names.labels, "a", 0, 1, b->names.dead, "x", NULL, NULL, NULL),
        RT_NOTFOUND);
    cr_assert_eq(length_of(b, b->names.labels), 0, "nothing made the stream without its group");
    cr_assert_eq(queue_ensure(b->q, b->names.labels, &made, NULL), RT_OK);
    cr_assert(made);
    add(b, "again");
    cr_assert_eq(read_as(b, "a", false, 1), 1);
    queue_entries_free(entries, 1);
}

Test(names, a_run_keeps_its_streams_in_one_slot_and_apart_from_others)
{
    queue_names names, other;
    char longer[300];
    queue_names_of("x", &names);
    cr_assert_str_eq(names.labels, "retort:{x}:labels");
    cr_assert_str_eq(names.batches, "retort:{x}:batches");
    cr_assert_str_eq(names.dead, "retort:{x}:dead");
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    queue_names_of(longer, &names);
    longer[0] = 'z';
    queue_names_of(longer, &other);
    cr_assert_str_neq(names.labels, names.batches);
    cr_assert_str_neq(names.labels, other.labels);
    queue_close(NULL);
}
