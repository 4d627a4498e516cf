/* The engine's thread and its line, without a socket: waiters are this test. */
#include <criterion/criterion.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/unit/worker/serve/served_tiny.h"
#include "tests/unit/worker/serve/sleeping_client.h"

typedef struct client {
    sleeping_client at;
    job *j;
    rt_buf answer;
} client;

static tiny_server t;
static serve_stats counters;

static engine *open_engine(size_t n_slots, size_t n_threads, size_t n_waiting_max,
                           uint64_t timeout_ms)
{
    engine_settings how = {.n_slots = n_slots,
                           .n_threads = n_threads,
                           .n_waiting_max = n_waiting_max,
                           .timeout_ms = timeout_ms};
    engine *e = NULL;
    rt_error err = {0};
    t = served_tiny_open(true);
    cr_assert_eq(serve_stats_open(&counters, &err), RT_OK);
    cr_assert_eq(engine_open(t.m, &how, &counters, &e, &err), RT_OK, "%s", err.text);
    return e;
}

static void close_engine(engine *e)
{
    engine_close(e);
    serve_stats_close(&counters);
    served_tiny_close(&t);
}

static bool submit(engine *e, const char *body, client *c, api_error *why)
{
    serve_limits limits = {.max_tokens = 40};
    serve_request ask = {0};
    completion *work = NULL;
    *c = (client){0};
    job_waiter waiter = sleeping_client_waiter(&c->at);
    cr_assert(serve_request_parse(SERVE_CHAT, body, strlen(body), &limits, &ask, why));
    cr_assert(completion_new(t.m, &ask, "1", 5, 9, &work, why));
    bool ok = engine_submit(e, &work, &waiter, &c->j, why);
    cr_expect_eq(ok, work == NULL);
    completion_free(work);
    return ok;
}

/* Read until the end, sleeping between. */
static job_state read_all(client *c)
{
    char bytes[37];
    size_t n;
    for (;;) {
        job_state state = job_read(c->j, bytes, sizeof bytes, &n);
        if (state == JOB_RUNNING)
            sleeping_client_wait(&c->at);
        else if (state == JOB_OUTPUT)
            cr_assert_eq(rt_buf_add(&c->answer, bytes, n, NULL), RT_OK);
        else
            return state;
    }
}

static void drop(client *c)
{
    job_release(c->j);
    rt_buf_free(&c->answer);
}

#define ASK(content, more) \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"" content "\"}],\"max_tokens\":20" more "}"
#define ENDLESS ",\"temperature\":2,\"seed\":3,\"n\":128,\"max_tokens\":40"

/* Threads, and the slots they share. */
static const size_t ways[][2] = {{1, 3}, {3, 3}, {2, 5}};

static void ask_many(size_t n_threads, size_t n_slots)
{
    enum { N = 40 };
    static client clients[N];
    engine *e = open_engine(n_slots, n_threads, N, 60000);
    api_error why = {0};
    for (size_t i = 0; i < N; i++)
        cr_assert(submit(e,
                         i % 4 == 0   ? ASK("a", "")
                         : i % 4 == 1 ? ASK("b", "")
                         : i % 4 == 2 ? ASK("a", ",\"stream\":true")
                                      : ASK("b", ",\"retort\":{\"answer\":\"both\"}"),
                         &clients[i], &why),
                  "%s", why.message);
    for (size_t i = 0; i < N; i++) {
        static const char *const expected[] = {"\"content\":\"yes\"", "\"content\":\"no\"",
                                               "data: [DONE]", "\"not at all # no\""};
        cr_expect_eq(read_all(&clients[i]), JOB_DONE);
        cr_expect_not_null(strstr(clients[i].answer.data, expected[i % 4]), "%s",
                           clients[i].answer.data);
        drop(&clients[i]);
    }
    cr_expect_eq(engine_n_jobs(e), 0);
    close_engine(e);
}

Test(engine, many_at_once_get_the_answers_of_one_at_a_time)
{
    for (size_t i = 0; i < RT_COUNT(ways); i++) ask_many(ways[i][0], ways[i][1]);
}

/* The samples of a request meet again in one answer, whichever threads decode them. */
Test(engine, samples_read_their_prompt_once_in_each_thread_and_repeat)
{
    static client c[RT_COUNT(ways)];
    for (size_t i = 0; i < RT_COUNT(ways); i++) {
        engine *e = open_engine(ways[i][1], ways[i][0], 10, 60000);
        api_error why = {0};
        cr_assert(submit(e, ASK("a", ",\"temperature\":2,\"seed\":3,\"n\":20"), &c[i], &why));
        cr_expect_eq(read_all(&c[i]), JOB_DONE);
        if (i > 0) cr_expect_str_eq(c[i].answer.data, c[0].answer.data);
        double n_prompt = stats_value(counters.prompt_tokens);
        double n_read = stats_value(counters.prompt_tokens_read);
        cr_expect(n_read >= n_prompt && n_read <= n_prompt * (double)ways[i][0],
                  "%g tokens read of a prompt of %g", n_read, n_prompt);
        job_release(c[i].j);
        close_engine(e);
    }
    for (size_t i = 0; i < RT_COUNT(ways); i++) rt_buf_free(&c[i].answer);
}

Test(engine, a_full_line_refuses_and_a_drained_engine_takes_no_more)
{
    static client clients[64];
    engine *e = open_engine(1, 1, 2, 60000);
    api_error why = {0};
    size_t n = 0;
    while (n < 64 && submit(e, ASK("a", ENDLESS), &clients[n], &why)) n++;
    cr_assert_lt(n, 64);
    cr_expect_eq(api_error_status(&why), 429);
    engine_drain(e);
    cr_expect(!submit(e, ASK("a", ""), &clients[63], &why));
    cr_expect_eq(api_error_status(&why), 503);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(read_all(&clients[i]), JOB_DONE); /* what was taken is finished */
        drop(&clients[i]);
    }
    close_engine(e);
}

/* So much stands before the second that it cannot have been answered when its client goes. */
Test(engine, a_client_that_goes_away_frees_its_slots)
{
    enum { N = 100 };
    static client before[N], asleep, last;
    engine *e = open_engine(1, 1, N + 2, 60000);
    api_error why = {0};
    for (size_t i = 0; i < N; i++) cr_assert(submit(e, ASK("a", ENDLESS), &before[i], &why));
    cr_assert(submit(e, ASK("a", ENDLESS), &asleep, &why));
    cr_assert(submit(e, ASK("b", ""), &last, &why));
    char byte;
    size_t n;
    cr_assert_eq(job_read(asleep.j, &byte, 1, &n), JOB_RUNNING);
    engine_sweep(e, sleeping_client_is_gone);
    cr_expect(asleep.at.asleep); /* it is still there */
    asleep.at.gone = true;
    engine_sweep(e, sleeping_client_is_gone);
    sleeping_client_wait(&asleep.at);
    cr_expect_eq(job_read(asleep.j, &byte, 1, &n), JOB_FAILED);
    job_release(asleep.j);
    for (size_t i = 0; i < N; i++) job_release(before[i].j); /* as a broken connection does */
    cr_expect_eq(read_all(&last), JOB_DONE);
    cr_expect_not_null(strstr(last.answer.data, "\"no\""));
    cr_expect_geq(stats_value(counters.cancelled),
                  1); /* of those before it, all that were not answered */
    drop(&last);
    cr_expect_eq(engine_n_jobs(e), 0);
    close_engine(e);
}

Test(engine, what_takes_too_long_ends_with_a_timeout)
{
    static client c;
    engine *e = open_engine(1, 1, 10, 0);
    api_error why = {0};
    cr_assert(submit(e, ASK("a", ""), &c, &why));
    cr_expect_eq(read_all(&c), JOB_FAILED);
    job_problem(c.j, &why);
    cr_expect_eq(api_error_status(&why), 503);
    cr_expect_str_eq(api_error_code(&why), "timeout");
    cr_expect_eq(stats_value(counters.timeouts), 1);
    drop(&c);
    close_engine(e);
}

/* Slots of two threads hold jobs that end: both let go of them, and the next one gets all slots. */
Test(engine, a_job_that_is_given_up_frees_the_slots_of_every_thread)
{
    enum { N = 30 };
    static client before[N], last;
    engine *e = open_engine(4, 2, N + 1, 60000);
    api_error why = {0};
    for (size_t i = 0; i < N; i++)
        cr_assert(submit(e, ASK("a", ENDLESS ",\"stream\":true"), &before[i], &why));
    cr_assert(submit(e, ASK("b", ",\"n\":8"), &last, &why));
    char byte;
    size_t n;
    while (job_read(before[0].j, &byte, 1, &n) == JOB_RUNNING) sleeping_client_wait(&before[0].at);
    for (size_t i = 0; i < N; i++) job_release(before[i].j);
    cr_expect_eq(read_all(&last), JOB_DONE);
    cr_expect_geq(stats_value(counters.cancelled), 1);
    drop(&last);
    cr_expect_eq(engine_n_jobs(e), 0);
    close_engine(e);
}

static void abort_all(size_t n_threads, size_t n_slots)
{
    static client clients[4];
    engine *e = open_engine(n_slots, n_threads, 10, 60000);
    api_error why = {0};
    for (size_t i = 0; i < 4; i++) cr_assert(submit(e, ASK("a", ENDLESS), &clients[i], &why));
    engine_abort(e);
    for (size_t i = 0; i < 4; i++) {
        job_state state = read_all(&clients[i]);
        cr_expect(state == JOB_FAILED || state == JOB_DONE);
        drop(&clients[i]);
    }
    cr_expect_eq(engine_n_running(e), 0);
    close_engine(e);
}

Test(engine, an_abort_ends_every_job)
{
    abort_all(1, 1);
    for (size_t i = 0; i < RT_COUNT(ways); i++) abort_all(ways[i][0], ways[i][1]);
}
