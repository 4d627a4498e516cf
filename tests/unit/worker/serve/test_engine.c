/* The engine's thread and its line, without a socket: waiters are this test. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/unit/worker/serve/served_tiny.h"
#include "worker/serve/engine.h"

/* A client that waits as a connection does: asleep until it is woken. */
typedef struct client {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool asleep, gone;
    job *j;
    rt_buf answer;
} client;

static tiny_server t;
static serve_stats counters;

static void fall_asleep(void *context)
{
    client *c = context;
    pthread_mutex_lock(&c->mutex);
    c->asleep = true;
    pthread_mutex_unlock(&c->mutex);
}

static void wake_up(void *context)
{
    client *c = context;
    pthread_mutex_lock(&c->mutex);
    c->asleep = false;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static bool is_gone(void *context)
{
    return ((client *)context)->gone;
}

static void wait_awake(client *c)
{
    pthread_mutex_lock(&c->mutex);
    while (c->asleep) pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

static engine *open_engine(size_t n_slots, size_t n_waiting_max, uint64_t timeout_ms)
{
    engine_settings how = {
        .n_slots = n_slots, .n_waiting_max = n_waiting_max, .timeout_ms = timeout_ms};
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
    *c = (client){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    job_waiter waiter = {.sleep = fall_asleep, .wake = wake_up, .context = c};
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
            wait_awake(c);
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

Test(engine, many_at_once_get_the_answers_of_one_at_a_time)
{
    enum { N = 40 };
    static client clients[N];
    engine *e = open_engine(3, N, 60000);
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

Test(engine, a_full_line_refuses_and_a_drained_engine_takes_no_more)
{
    static client clients[64];
    engine *e = open_engine(1, 2, 60000);
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

Test(engine, a_client_that_goes_away_frees_its_slots)
{
    static client first, asleep, last;
    engine *e = open_engine(1, 10, 60000);
    api_error why = {0};
    cr_assert(submit(e, ASK("a", ENDLESS), &first, &why));
    cr_assert(submit(e, ASK("a", ENDLESS), &asleep, &why));
    cr_assert(submit(e, ASK("b", ""), &last, &why));
    job_release(first.j); /* as a broken connection does */
    char byte;
    size_t n;
    cr_assert_eq(job_read(asleep.j, &byte, 1, &n), JOB_RUNNING);
    engine_sweep(e, is_gone);
    cr_expect(asleep.asleep); /* it is still there */
    asleep.gone = true;
    engine_sweep(e, is_gone);
    wait_awake(&asleep);
    cr_expect_eq(job_read(asleep.j, &byte, 1, &n), JOB_FAILED);
    job_release(asleep.j);
    cr_expect_eq(read_all(&last), JOB_DONE);
    cr_expect_not_null(strstr(last.answer.data, "\"no\""));
    cr_expect_eq(stats_value(counters.cancelled), 2);
    drop(&last);
    cr_expect_eq(engine_n_jobs(e), 0);
    close_engine(e);
}

Test(engine, what_takes_too_long_ends_with_a_timeout)
{
    static client c;
    engine *e = open_engine(1, 10, 0);
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

Test(engine, an_abort_ends_every_job)
{
    static client clients[4];
    engine *e = open_engine(1, 10, 60000);
    api_error why = {0};
    for (size_t i = 0; i < 4; i++) cr_assert(submit(e, ASK("a", ENDLESS), &clients[i], &why));
    engine_abort(e);
    for (size_t i = 0; i < 4; i++) {
        job_state state = read_all(&clients[i]);
        cr_expect(state == JOB_FAILED || (i < 3 && state == JOB_DONE));
        drop(&clients[i]);
    }
    cr_expect_eq(engine_n_running(e), 0);
    close_engine(e);
}
