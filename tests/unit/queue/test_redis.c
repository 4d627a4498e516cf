/* What only a server can do to us: vanish, forget, refuse, fill up, and keep ghosts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/queue/queue.h"
#include "tests/support/redis_fixture.h"

static redis_fixture redis;
static queue_names names;
static queue_entry entries[64];

static void start_redis(void)
{
    redis_fixture_start(&redis, "");
    queue_names_of("run-1", &names);
}

static void stop_redis(void)
{
    redis_fixture_stop(&redis);
}

TestSuite(redis, .init = start_redis, .fini = stop_redis);

static queue *open_queue(void)
{
    queue *q = NULL;
    rt_error err = {0};
    cr_assert_eq(queue_open_redis(redis.url, "", &q, &err), RT_OK, "%s", err.text);
    cr_assert_eq(queue_ensure(q, names.batches, NULL, &err), RT_OK, "%s", err.text);
    return q;
}

static rt_status add(queue *q, const char *text, rt_error *err)
{
    return queue_add(q, names.batches, text, strlen(text), 0, err);
}

static size_t must_read(queue *q, const char *consumer, size_t n_max)
{
    size_t n = 0;
    rt_error err = {0};
    cr_assert_eq(queue_read(q, names.batches, consumer, false, n_max, 0, entries, &n, &err), RT_OK,
                 "%s", err.text);
    return n;
}

static void command(const char *text)
{
    redisReply *reply = redis_fixture_command(&redis, text);
    cr_assert_neq(reply->type, REDIS_REPLY_ERROR, "%s: %s", text, reply->str);
    freeReplyObject(reply);
}

Test(redis, a_killed_server_is_unavailable_and_a_new_one_is_used_at_once)
{
    queue *q = open_queue();
    rt_error err = {0};
    cr_assert_eq(add(q, "x", &err), RT_OK);
    redis_fixture_kill(&redis);
    cr_assert_eq(add(q, "x", &err), RT_UNAVAILABLE);
    cr_assert_not_null(strstr(err.text, redis.url), "%s", err.text);
    redis_fixture_again(&redis);
    cr_assert_eq(add(q, "x", &err), RT_NOTFOUND, "the new one is empty");
    cr_assert_eq(queue_ensure(q, names.batches, NULL, &err), RT_OK, "%s", err.text);
    cr_assert_eq(add(q, "x", &err), RT_OK, "%s", err.text);
    queue_close(q);
}

Test(redis, a_connection_lost_between_two_calls_is_not_seen)
{
    queue *q = open_queue();
    command("CLIENT KILL TYPE normal SKIPME yes");
    cr_assert_eq(add(q, "x", NULL), RT_OK);
    command("CLIENT KILL TYPE normal SKIPME yes");
    cr_assert_eq(must_read(q, "a", 1), 1);
    queue_entries_free(entries, 1);
    queue_close(q);
}

Test(redis, what_a_lost_connection_had_been_handed_comes_again_once_and_in_pages)
{
    queue *q = open_queue();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(add(q, i == 0 ? "a" : i == 1 ? "b" : "c", NULL), RT_OK);
    cr_assert_eq(must_read(q, "w", 2), 2);
    queue_entries_free(entries, 2);
    command("CLIENT KILL TYPE normal SKIPME yes");
    static const char *const want[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) { /* nothing is acknowledged, and still it goes on */
        /* the call in which the loss shows may not know yet that anything is to be read again */
        cr_assert_eq(must_read(q, "w", 1), 1);
        cr_assert_eq(entries[0].n_bytes, 1);
        if (((char *)entries[0].bytes)[0] == 'c' && i == 0) {
            queue_entries_free(entries, 1);
            cr_assert_eq(must_read(q, "w", 1), 1);
        }
        cr_assert_eq(((char *)entries[0].bytes)[0], want[i][0], "round %d", i);
        queue_entries_free(entries, 1);
        if (i == 1) break;
    }
    queue_close(q);
}

Test(redis, a_flush_is_reported_by_every_call_that_needs_the_group)
{
    queue *q = open_queue();
    size_t n = 0;
    queue_entry held = {.id = "1-0", .bytes = "x", .n_bytes = 1};
    cr_assert_eq(add(q, "x", NULL), RT_OK);
    command("FLUSHALL");
    cr_assert_eq(add(q, "x", NULL), RT_NOTFOUND);
    cr_assert_eq(queue_read(q, names.batches, "a", false, 1, 0, entries, &n, NULL), RT_NOTFOUND);
    cr_assert_eq(queue_read(q, names.batches, "a", true, 1, 0, entries, &n, NULL), RT_NOTFOUND);
    cr_assert_eq(queue_requeue(q, names.batches, NULL, 0, 1, names.dead, "x", NULL, NULL, NULL),
                 RT_NOTFOUND);
    cr_assert_eq(queue_ack(q, names.batches, &held, 1, NULL), RT_OK);
    cr_assert_eq(queue_bury(q, names.batches, &held, names.dead, "x", NULL), RT_OK);
    command("XADD retort:{run-1}:batches * b x n 0"); /* a stream without its group */
    cr_assert_eq(queue_read(q, names.batches, "a", false, 1, 0, entries, &n, NULL), RT_NOTFOUND);
    bool made = false;
    cr_assert_eq(queue_ensure(q, names.batches, &made, NULL), RT_OK);
    cr_assert(made);
    cr_assert_eq(must_read(q, "a", 1), 1, "what was there before its group is handed out");
    queue_entries_free(entries, 1);
    queue_close(q);
}

Test(redis, ghosts_and_foreign_entries_are_acknowledged_and_skipped)
{
    queue *q = open_queue();
    size_t n = 0;
    rt_error err = {0};
    for (int i = 0; i < 3; i++) cr_assert_eq(add(q, "x", NULL), RT_OK);
    cr_assert_eq(must_read(q, "a", 3), 3);
    redisReply *reply =
        redis_fixture_command(&redis, "XDEL %s %s %s", names.batches, entries[0].id, entries[1].id);
    cr_assert_eq(reply->integer, 2);
    freeReplyObject(reply);
    queue_entries_free(entries, 3);
    command("XADD retort:{run-1}:batches * foreign field");
    command("XADD retort:{run-1}:batches * b good n 7");
    cr_assert_eq(queue_read(q, names.batches, "a", true, 10, 0, entries, &n, &err), RT_OK);
    cr_assert_eq(n, 1, "the one that is left");
    queue_entries_free(entries, n);
    cr_assert_eq(must_read(q, "a", 10), 1);
    cr_assert_eq(entries[0].attempts, 7);
    queue_entries_free(entries, 1);
    reply = redis_fixture_command(&redis, "XPENDING %s retort", names.batches);
    cr_assert_eq(reply->element[0]->integer, 2, "ghosts are still pending");
    freeReplyObject(reply);
    queue_close(q);
}

Test(redis, requeueing_clears_ghosts_and_forgets_the_dead_consumer)
{
    queue *q = open_queue();
    size_t n_requeued = 0, n_dead = 0;
    for (int i = 0; i < 2; i++) cr_assert_eq(add(q, "x", NULL), RT_OK);
    cr_assert_eq(must_read(q, "a", 2), 2);
    freeReplyObject(redis_fixture_command(&redis, "XDEL %s %s", names.batches, entries[0].id));
    queue_entries_free(entries, 2);
    cr_assert_eq(
        queue_requeue(q, names.batches, "a", 0, 3, names.dead, "died", &n_requeued, &n_dead, NULL),
        RT_OK);
    cr_assert_eq(n_requeued, 1);
    cr_assert_eq(n_dead, 0);
    redisReply *reply = redis_fixture_command(&redis, "XINFO CONSUMERS %s retort", names.batches);
    cr_assert_eq(reply->elements, 0);
    freeReplyObject(reply);
    reply = redis_fixture_command(&redis, "XPENDING %s retort", names.batches);
    cr_assert_eq(reply->element[0]->integer, 0);
    freeReplyObject(reply);
    queue_close(q);
}

Test(redis, the_reason_lies_beside_a_buried_entry)
{
    queue *q = open_queue();
    cr_assert_eq(add(q, "bad", NULL), RT_OK);
    cr_assert_eq(must_read(q, "a", 1), 1);
    cr_assert_eq(queue_bury(q, names.batches, &entries[0], names.dead, "no id", NULL), RT_OK);
    queue_entries_free(entries, 1);
    redisReply *reply = redis_fixture_command(&redis, "XRANGE %s - +", names.dead);
    cr_assert_eq(reply->elements, 1);
    const redisReply *fields = reply->element[0]->element[1];
    cr_assert_str_eq(fields->element[1]->str, "bad");
    cr_assert_str_eq(fields->element[4]->str, "r");
    cr_assert_str_eq(fields->element[5]->str, "no id");
    freeReplyObject(reply);
    queue_close(q);
}

Test(redis, a_read_waits_as_long_as_asked_and_no_longer)
{
    queue *q = open_queue();
    size_t n = 9;
    uint64_t before = rt_clock_mono_ms();
    cr_assert_eq(queue_read(q, names.batches, "a", false, 1, 50, entries, &n, NULL), RT_OK);
    uint64_t took = rt_clock_mono_ms() - before;
    cr_assert_eq(n, 0);
    cr_assert_geq(took, 45);
    cr_assert_leq(took, 3000);
    queue_close(q);
}

Test(redis, a_full_server_says_so_and_names_the_fix)
{
    queue *q = open_queue();
    rt_error err = {0};
    command("CONFIG SET maxmemory 1");
    cr_assert_eq(add(q, "x", &err), RT_FULL);
    cr_assert_not_null(strstr(err.text, "maxmemory"), "%s", err.text);
    command("CONFIG SET maxmemory 0");
    cr_assert_eq(add(q, "x", &err), RT_OK);
    queue_close(q);
}

Test(redis, a_key_of_another_kind_is_not_taken_for_a_stream)
{
    queue *q = open_queue();
    command("SET retort:{run-1}:labels 1");
    cr_assert_eq(queue_ensure(q, names.labels, NULL, NULL), RT_INVALID);
    cr_assert_eq(queue_add(q, names.labels, "x", 1, 0, NULL), RT_INVALID);
    queue_close(q);
}

Test(redis, a_forked_child_uses_a_connection_of_its_own)
{
    queue *q = open_queue();
    pid_t pid = fork();
    if (pid == 0) _exit(add(q, "child", NULL) == RT_OK ? 0 : 1);
    for (int i = 0; i < 20; i++) cr_assert_eq(add(q, "parent", NULL), RT_OK);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    uint64_t n = 0;
    cr_assert_eq(queue_length(q, names.batches, &n, NULL), RT_OK);
    cr_assert_eq(n, 21);
    queue_close(q);
}

Test(password, only_the_right_one_opens_and_none_is_ever_quoted)
{
    redis_fixture f;
    queue *q = NULL;
    rt_error err = {0};
    redis_fixture_start(&f, "tell-nobody");
    cr_assert_eq(queue_open_redis(f.url, "guess-guess", &q, &err), RT_REFUSED);
    cr_assert_null(strstr(err.text, "guess-guess"), "%s", err.text);
    cr_assert_eq(queue_open_redis(f.url, "", &q, &err), RT_REFUSED);
    cr_assert_eq(queue_open_redis(f.url, "tell-nobody", &q, &err), RT_OK, "%s", err.text);
    cr_assert_eq(queue_ensure(q, "s", NULL, NULL), RT_OK);
    redis_fixture_kill(&f);
    redis_fixture_again(&f);
    cr_assert_eq(queue_ensure(q, "s", NULL, &err), RT_OK, "%s", err.text);
    queue_close(q);
    redis_fixture_stop(&f);
}

static rt_status read_word(const void *context, rt_buf *out, rt_error *err)
{
    const char *word = *(const char *const *)context;
    if (word == NULL) return rt_fail(err, RT_NOTFOUND, "no password file");
    return rt_buf_add_text(out, word, err);
}

/* The server's password changes, and ours a little later. */
Test(password, a_link_waits_until_a_changed_password_is_mended)
{
    redis_fixture f;
    queue *q = NULL;
    rt_error err = {0};
    const char *word = "first";
    queue_login login = {.read_password = read_word, .context = &word};
    redis_fixture_start(&f, "first");
    cr_assert_eq(queue_open_redis_as(f.url, &login, &q, &err), RT_OK, "%s", err.text);
    redis_fixture_kill(&f);
    strcpy(f.password, "second");
    redis_fixture_again(&f);
    cr_expect_eq(queue_ensure(q, "s", NULL, &err), RT_UNAVAILABLE);
    cr_expect_not_null(strstr(err.text, "password was not accepted"), "%s", err.text);
    cr_expect_null(strstr(err.text, "first"), "%s", err.text);
    word = NULL; /* the file is being replaced */
    cr_expect_eq(queue_ensure(q, "s", NULL, &err), RT_UNAVAILABLE);
    word = "second";
    cr_expect_eq(queue_ensure(q, "s", NULL, &err), RT_OK, "%s", err.text);
    queue_close(q);
    redis_fixture_stop(&f);
}

Test(password, a_user_of_the_acl_comes_in_with_his_own_password_only)
{
    redis_fixture f;
    queue *q = NULL;
    rt_error err = {0};
    queue_login login = {.user = "retort", .password = "his own"};
    redis_fixture_start(&f, "tell-nobody");
    freeReplyObject(redis_fixture_command(
        &f, "ACL SETUSER retort on >his-other ~retort:* +@all -@dangerous +info"));
    cr_assert_eq(queue_open_redis_as(f.url, &login, &q, &err), RT_REFUSED, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "user 'retort'"), "%s", err.text);
    freeReplyObject(redis_fixture_command(&f, "ACL SETUSER retort resetpass >his-own"));
    login.password = "his-own";
    cr_assert_eq(queue_open_redis_as(f.url, &login, &q, &err), RT_OK, "%s", err.text);
    cr_expect_eq(queue_ensure(q, "retort:{x}:labels", NULL, &err), RT_OK, "%s", err.text);
    cr_expect_eq(queue_ensure(q, "another", NULL, &err), RT_REFUSED);
    queue_close(q);
    login.user = "nobody";
    cr_expect_eq(queue_open_redis_as(f.url, &login, &q, &err), RT_REFUSED);
    redis_fixture_stop(&f);
}

Test(url, tls_is_spoken_or_refused_and_never_left_out)
{
    queue *q = NULL;
    rt_error err = {0};
    rt_status st = queue_open_redis("rediss://127.0.0.1:1", "p", &q, &err);
    cr_expect_eq(st, queue_has_tls() ? RT_UNAVAILABLE : RT_UNSUPPORTED, "%s", err.text);
    if (!queue_has_tls()) cr_expect_not_null(strstr(err.text, "hiredis_ssl"), "%s", err.text);
    cr_expect_eq(queue_open_redis("rediss://u:hunter2@127.0.0.1:1", "", &q, &err), RT_INVALID);
    cr_expect_null(strstr(err.text, "hunter2"), "%s", err.text);
}

Test(url, wrong_ones_are_refused_without_a_try)
{
    static const char *const urls[] = {
        "",
        "redis",
        "redis://",
        "redis://:6379",
        "redis://h:0",
        "redis://h:99999",
        "redis://h:x",
        "redis://127.0.0.1:6379/3",
        "redis://[::1",
        "redis://[::1]x",
        "unix:",
        "http://h:1",
    };
    queue *q = NULL;
    rt_error err = {0};
    for (size_t i = 0; i < RT_COUNT(urls); i++)
        cr_assert_eq(queue_open_redis(urls[i], "p", &q, &err), RT_INVALID, "%s", urls[i]);
    cr_assert_eq(queue_open_redis("redis://:hunter2@127.0.0.1:1", "", &q, &err), RT_INVALID);
    cr_assert_null(strstr(err.text, "hunter2"), "%s", err.text);
    cr_assert_eq(queue_open_redis("redis://10.0.0.1:6379", "", &q, &err), RT_INVALID);
    cr_assert_not_null(strstr(err.text, "password"), "%s", err.text);
}

Test(url, nobody_there_is_unavailable)
{
    static const char *const urls[] = {"redis://127.0.0.1:1", "redis://[::1]:1",
                                       "redis://localhost:1/", "unix:/nowhere/redis.sock"};
    queue *q = NULL;
    rt_error err = {0};
    for (size_t i = 0; i < RT_COUNT(urls); i++)
        cr_assert_eq(queue_open_redis(urls[i], "", &q, &err), RT_UNAVAILABLE, "%s: %s", urls[i],
                     err.text);
}
