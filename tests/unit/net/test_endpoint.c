/* Requests and answers between one server and its clients. Deadlines are short and real: nothing
 * sleeps, everything waits for a message. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"
#include "common/net/endpoint.h"

#define LONG_MS 10000 /* for what must come */

static const net_identity coordinator = {"run-1", "coordinator", 1};
static const net_identity student = {"run-1", "student-0", 7};

static net_server *serve_at(const char *endpoint)
{
    net_server *s = NULL;
    rt_error err = {0};
    cr_assert_eq(net_server_open(&coordinator, endpoint, NULL, &s, &err), RT_OK, "%s", err.text);
    return s;
}

static net_client *ask_at(const char *endpoint)
{
    net_client *c = NULL;
    rt_error err = {0};
    cr_assert_eq(net_client_open(&student, endpoint, NULL, &c, &err), RT_OK, "%s", err.text);
    return c;
}

/* Receive one message, waiting as long as it takes. */
static net_incoming must_receive(net_server *s)
{
    net_incoming in = {0};
    rt_error err = {0};
    cr_assert_eq(net_server_receive(s, LONG_MS, &in, &err), RT_OK, "%s", err.text);
    return in;
}

/* A server on a thread: what it does with the i-th message. */
typedef struct helper {
    net_server *server;
    pthread_t thread;
    atomic_bool stop;
    void (*handle)(struct helper *h, net_incoming *in, unsigned i_message);
} helper;

static void *run_helper(void *arg)
{
    helper *h = arg;
    for (unsigned i = 0; !atomic_load(&h->stop);) {
        net_incoming in = {0};
        if (net_server_receive(h->server, 10, &in, NULL) != RT_OK) continue;
        h->handle(h, &in, i++);
        net_incoming_free(&in);
    }
    return NULL;
}

static void start(helper *h, const char *endpoint,
                  void (*handle)(helper *h, net_incoming *in, unsigned i_message))
{
    h->server = serve_at(endpoint);
    h->handle = handle;
    atomic_store(&h->stop, false);
    cr_assert_eq(pthread_create(&h->thread, NULL, run_helper, h), 0);
}

static void stop(helper *h)
{
    atomic_store(&h->stop, true);
    pthread_join(h->thread, NULL);
    net_server_close(h->server);
}

static void answer_pushed(helper *h, net_incoming *in, uint64_t message_id, uint64_t version)
{
    wire_message m = {.type = WIRE_PUSHED, .message_id = message_id};
    m.pushed.version = version;
    (void)!net_server_send(h->server, &in->peer, &m, NULL, 0, NULL);
}

/* PULL{v} is answered with PUSHED{v}. */
static void echo(helper *h, net_incoming *in, unsigned i_message)
{
    (void)i_message;
    answer_pushed(h, in, in->message.message_id, in->message.pull.version);
}

static rt_status pull(net_client *c, uint64_t version, uint64_t timeout_ms, net_incoming *in,
                      rt_error *err)
{
    wire_message ask = {.type = WIRE_PULL, .pull = {version}};
    return net_client_request(c, &ask, NULL, 0, timeout_ms, in, err);
}

static void must_pull(net_client *c, uint64_t version)
{
    net_incoming in = {0};
    rt_error err = {0};
    cr_assert_eq(pull(c, version, LONG_MS, &in, &err), RT_OK, "%s", err.text);
    cr_assert_eq(in.message.type, WIRE_PUSHED);
    cr_assert_eq(in.message.pushed.version, version);
    cr_assert_str_eq(in.message.sender, "coordinator");
    net_incoming_free(&in);
}

static void request_over(const char *endpoint)
{
    helper h = {0};
    start(&h, endpoint, echo);
    net_client *c = ask_at(net_server_endpoint(h.server));
    for (uint64_t i = 0; i < 50; i++) must_pull(c, i);
    cr_assert_eq(net_client_counts(c)->n_received, 50);
    cr_assert_eq(net_client_counts(c)->n_dropped, 0);
    net_client_close(c);
    stop(&h);
    net_server_close(NULL);
    net_client_close(NULL);
    net_incoming_free(NULL);
}

Test(endpoint, a_request_is_answered_over_tcp)
{
    request_over("tcp://127.0.0.1:*");
}

Test(endpoint, a_request_is_answered_over_localhost_by_name)
{
    request_over("tcp://localhost:*");
}

Test(endpoint, a_request_is_answered_over_ipc)
{
    char folder[] = "/tmp/retort-net-XXXXXX", endpoint[128];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", folder);
    request_over(endpoint);
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

static void ignore_first(helper *h, net_incoming *in, unsigned i_message)
{
    if (i_message > 0) echo(h, in, i_message);
}

Test(endpoint, a_request_without_an_answer_is_sent_again_with_the_same_id)
{
    helper h = {0};
    start(&h, "tcp://127.0.0.1:*", ignore_first);
    net_client *c = ask_at(net_server_endpoint(h.server));
    must_pull(c, 3);
    cr_assert_eq(net_client_counts(c)->n_retries, 1);
    net_client_close(c);
    stop(&h);
}

/* Answers the second message first, then the first one late, then an order nobody asked for. */
static void answer_late(helper *h, net_incoming *in, unsigned i_message)
{
    static uint64_t first_id;
    if (i_message == 0) {
        first_id = in->message.message_id;
        return;
    }
    if (in->message.message_id == first_id) return; /* sent again */
    answer_pushed(h, in, first_id, 111);
    answer_pushed(h, in, 0, 222);
    echo(h, in, i_message);
}

Test(endpoint, late_answers_are_dropped_and_orders_are_kept)
{
    helper h = {0};
    net_incoming in = {0};
    start(&h, "tcp://127.0.0.1:*", answer_late);
    net_client *c = ask_at(net_server_endpoint(h.server));
    wire_message first = {.type = WIRE_PULL, .pull = {1}};
    uint64_t first_id = 0;
    cr_assert_eq(net_client_send(c, &first, NULL, 0, &first_id, NULL), RT_OK);
    cr_assert_neq(first_id, 0);
    must_pull(c, 2);
    /* The answer to net_client_send() and the order came before and were kept, in order. */
    cr_assert(net_client_ready(c));
    cr_assert_eq(net_client_receive(c, 0, &in, NULL), RT_OK);
    cr_assert_eq(in.message.message_id, first_id);
    cr_assert_eq(in.message.pushed.version, 111);
    net_incoming_free(&in);
    cr_assert_eq(net_client_receive(c, 0, &in, NULL), RT_OK);
    cr_assert_eq(in.message.message_id, 0);
    cr_assert_eq(in.message.pushed.version, 222);
    net_incoming_free(&in);
    cr_assert_eq(net_client_receive(c, 0, &in, NULL), RT_TIMEOUT);
    net_client_close(c);
    stop(&h);
}

static void answer_twice(helper *h, net_incoming *in, unsigned i_message)
{
    echo(h, in, i_message);
    echo(h, in, i_message);
}

Test(endpoint, the_second_answer_to_a_request_is_dropped_and_counted)
{
    helper h = {0};
    start(&h, "tcp://127.0.0.1:*", answer_twice);
    net_client *c = ask_at(net_server_endpoint(h.server));
    must_pull(c, 1);
    must_pull(c, 2);
    must_pull(c, 3);
    cr_assert_geq(net_client_counts(c)->n_dropped, 2);
    net_client_close(c);
    stop(&h);
}

Test(endpoint, a_deadline_passes_with_a_message_that_says_what_was_tried)
{
    net_client *c = ask_at("tcp://127.0.0.1:1"); /* nobody listens there */
    net_incoming in = {0};
    rt_error err = {0};
    uint64_t before = rt_clock_mono_ms();
    cr_assert_eq(pull(c, 1, 50, &in, &err), RT_TIMEOUT);
    cr_assert_leq(rt_clock_mono_ms() - before, 2000);
    cr_assert_not_null(strstr(err.text, "no answer to pull within 50 ms"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "not connected"), "%s", err.text);
    cr_assert_eq(in.n_frames, 0);
    net_client_close(c);
}

static void refuse(helper *h, net_incoming *in, unsigned i_message)
{
    (void)i_message;
    wire_message m = {.type = WIRE_REFUSED, .message_id = in->message.message_id};
    m.refused = (wire_refused){"refused", "sender 'student-0' is unknown", true};
    (void)!net_server_send(h->server, &in->peer, &m, NULL, 0, NULL);
}

Test(endpoint, a_refusal_comes_back_with_the_text_of_the_peer)
{
    helper h = {0};
    net_incoming in = {0};
    rt_error err = {0};
    start(&h, "tcp://127.0.0.1:*", refuse);
    net_client *c = ask_at(net_server_endpoint(h.server));
    cr_assert_eq(pull(c, 1, LONG_MS, &in, &err), RT_REFUSED);
    cr_assert_str_eq(err.text, "sender 'student-0' is unknown");
    cr_assert(in.message.refused.register_again);
    net_incoming_free(&in);
    net_client_close(c);
    stop(&h);
}

Test(endpoint, two_clients_get_their_own_answers)
{
    helper h = {0};
    start(&h, "tcp://127.0.0.1:*", echo);
    net_client *a = ask_at(net_server_endpoint(h.server));
    net_client *b = ask_at(net_server_endpoint(h.server));
    for (uint64_t i = 0; i < 20; i++) {
        must_pull(a, i);
        must_pull(b, 1000 + i);
    }
    net_client_close(a);
    net_client_close(b);
    stop(&h);
}

static atomic_int n_released;

static void count_release(void *data, void *hint)
{
    (void)hint;
    free(data);
    atomic_fetch_add(&n_released, 1);
}

/* The frames of the request travel back. */
static void send_back(helper *h, net_incoming *in, unsigned i_message)
{
    (void)i_message;
    net_frame frames[8];
    for (size_t i = 0; i < in->n_frames; i++) {
        size_t n = 0;
        frames[i] = (net_frame){.data = net_frame_data(in, i, &n)};
        frames[i].n_bytes = n;
    }
    wire_message m = {.type = WIRE_PULLED, .message_id = in->message.message_id};
    (void)!net_server_send(h->server, &in->peer, &m, frames, in->n_frames, NULL);
}

Test(endpoint, three_mebibytes_of_frames_go_there_and_back_and_are_released_once)
{
    helper h = {0};
    net_incoming in = {0};
    rt_error err = {0};
    net_frame frames[4];
    start(&h, "tcp://127.0.0.1:*", send_back);
    net_client *c = ask_at(net_server_endpoint(h.server));
    for (size_t i = 0; i < 4; i++) {
        size_t n = i < 3 ? 1u << 20 : 12; /* the last one is small: it must be aligned as well */
        float *data = malloc(n);
        for (size_t j = 0; j < n / sizeof *data; j++) data[j] = (float)(i * 1000 + j % 1000);
        frames[i] = (net_frame){data, n, count_release, NULL};
    }
    wire_message ask = {.type = WIRE_PUSH, .push = {.step = 1, .n_micro_batches = 1}};
    cr_assert_eq(net_client_request(c, &ask, frames, 4, LONG_MS, &in, &err), RT_OK, "%s", err.text);
    cr_assert_eq(in.n_frames, 4);
    for (size_t i = 0; i < 4; i++) {
        size_t n = 0;
        const float *data = net_frame_data(&in, i, &n);
        cr_assert_eq((uintptr_t)data % sizeof(double), 0);
        cr_assert_eq(n, i < 3 ? 1u << 20 : 12);
        for (size_t j = 0; j < n / sizeof *data; j++)
            cr_assert_eq(data[j], (float)(i * 1000 + j % 1000));
    }
    net_incoming_free(&in);
    net_client_close(c);
    stop(&h);
    cr_assert_eq(atomic_load(&n_released), 4);
}

Test(endpoint, frames_are_released_when_sending_fails)
{
    net_client *c = ask_at("tcp://127.0.0.1:1");
    net_incoming in = {0};
    net_frame frames[3];
    wire_message bad = {.type = (wire_type)99};
    wire_message good = {.type = WIRE_PULL};
    for (size_t i = 0; i < 3; i++) frames[i] = (net_frame){malloc(8), 8, count_release, NULL};
    cr_assert_eq(net_client_request(c, &bad, frames, 3, 10, &in, NULL), RT_INVALID);
    cr_assert_eq(atomic_load(&n_released), 3);
    for (size_t i = 0; i < 3; i++) frames[i] = (net_frame){malloc(8), 8, count_release, NULL};
    frames[1].n_bytes = NET_FRAME_BYTES_MAX + 1;
    cr_assert_eq(net_client_request(c, &good, frames, 3, 10, &in, NULL), RT_INVALID);
    cr_assert_eq(atomic_load(&n_released), 6);
    net_client_close(c);
}

Test(endpoint, a_message_of_another_run_is_dropped_and_counted)
{
    static const net_identity stranger = {"run-2", "student-0", 7};
    net_server *s = serve_at("tcp://127.0.0.1:*");
    net_client *c = NULL;
    net_incoming in = {0};
    cr_assert_eq(net_client_open(&stranger, net_server_endpoint(s), NULL, &c, NULL), RT_OK);
    wire_message ask = {.type = WIRE_PULL};
    cr_assert_eq(net_client_send(c, &ask, NULL, 0, NULL, NULL), RT_OK);
    while (net_server_counts(s)->n_dropped == 0)
        cr_assert_eq(net_server_receive(s, 20, &in, NULL), RT_TIMEOUT);
    cr_assert_eq(net_server_counts(s)->n_received, 0);
    net_client_close(c);
    net_server_close(s);
}

Test(endpoint, a_message_for_a_peer_that_left_is_dropped_and_counted)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    net_peer nobody = {{0, 1, 2, 3, 4}, 5};
    wire_message m = {.type = WIRE_ACK};
    cr_assert_eq(net_server_send(s, &nobody, &m, NULL, 0, NULL), RT_OK);
    cr_assert_eq(net_server_counts(s)->n_dropped, 1);
    cr_assert_eq(net_server_counts(s)->n_sent, 0);
    net_server_close(s);
}

Test(endpoint, a_client_goes_on_when_its_server_is_replaced)
{
    helper h = {0};
    char endpoint[128];
    start(&h, "tcp://127.0.0.1:*", echo);
    strcpy(endpoint, net_server_endpoint(h.server));
    net_client *c = ask_at(endpoint);
    must_pull(c, 1);
    stop(&h);
    net_incoming in = {0};
    cr_assert_eq(pull(c, 2, 30, &in, NULL), RT_TIMEOUT);
    start(&h, endpoint, echo);
    must_pull(c, 3);
    net_client_close(c);
    stop(&h);
}

Test(endpoint, a_request_ends_at_once_when_asked_to_stop_now_but_not_when_draining)
{
    helper h = {0};
    net_incoming in = {0};
    start(&h, "tcp://127.0.0.1:*", echo);
    net_client *c = ask_at(net_server_endpoint(h.server));
    rt_stop_request();
    must_pull(c, 1); /* draining: what is in hand is finished */
    stop(&h);
    rt_stop_request();
    uint64_t before = rt_clock_mono_ms();
    cr_assert_eq(pull(c, 2, LONG_MS, &in, NULL), RT_CANCELLED);
    cr_assert_leq(rt_clock_mono_ms() - before, 2000);
    net_client_close(c);
}

Test(endpoint, an_address_in_use_is_named)
{
    rt_error err = {0};
    char folder[] = "/tmp/retort-net-XXXXXX", ipc[128];
    net_server *a = serve_at("tcp://127.0.0.1:*"), *b = NULL;
    cr_assert_eq(net_server_open(&coordinator, net_server_endpoint(a), NULL, &b, &err), RT_EXISTS);
    cr_assert_not_null(strstr(err.text, net_server_endpoint(a)), "%s", err.text);
    net_server_close(a);
    cr_assert_not_null(mkdtemp(folder));
    snprintf(ipc, sizeof ipc, "ipc://%s/s", folder);
    a = serve_at(ipc);
    cr_assert_eq(net_server_open(&coordinator, ipc, NULL, &b, &err), RT_EXISTS);
    net_server_close(a);
    a = serve_at(ipc);
    net_server_close(a);
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

Test(endpoint, beyond_loopback_nothing_opens_without_keys)
{
    static const char *const endpoints[] = {"tcp://0.0.0.0:0", "tcp://*:*", "tcp://[::]:*"};
    net_server *s = NULL;
    net_client *c = NULL;
    rt_error err = {0};
    for (size_t i = 0; i < RT_COUNT(endpoints); i++) {
        cr_assert_eq(net_server_open(&coordinator, endpoints[i], NULL, &s, &err), RT_INVALID);
        cr_assert_not_null(strstr(err.text, "retort keys"), "%s", err.text);
    }
    cr_assert_eq(net_client_open(&student, "tcp://10.0.0.1:7100", NULL, &c, &err), RT_INVALID);
    cr_assert_eq(net_client_open(&student, "http://127.0.0.1:1", NULL, &c, &err), RT_INVALID);
    cr_assert_eq(net_client_open(&student, "inproc://x", NULL, &c, &err), RT_INVALID);
    cr_assert_eq(net_client_open(&student, "tcp://127.0.0.1:99999", NULL, &c, &err), RT_INVALID);
}

/* The same whether it blocks at once, after a while, or not at all. */
Test(endpoint, poll_says_which_of_several_endpoints_is_ready)
{
    static const uint64_t spins_us[] = {0, 200, UINT64_C(1000) * LONG_MS};
    for (size_t i = 0; i < RT_COUNT(spins_us); i++) {
        uint64_t spin_us = spins_us[i];
        net_server *a = serve_at("tcp://127.0.0.1:*"), *b = serve_at("tcp://127.0.0.1:*");
        net_client *c = ask_at(net_server_endpoint(b));
        net_poll_item items[] = {{.server = a}, {.server = b}, {.client = c}};
        cr_assert_eq(net_poll(items, 3, spin_us, 0, NULL), RT_TIMEOUT);
        cr_assert_eq(net_poll(items, 3, spin_us, 1, NULL), RT_TIMEOUT,
                     "no longer than it may wait");
        wire_message m = {.type = WIRE_PULL};
        cr_assert_eq(net_client_send(c, &m, NULL, 0, NULL, NULL), RT_OK);
        cr_assert_eq(net_poll(items, 3, spin_us, LONG_MS, NULL), RT_OK);
        cr_assert(!items[0].ready && items[1].ready && !items[2].ready);
        net_incoming in = must_receive(b);
        cr_assert_geq(net_server_fd(b), 0);
        cr_assert_geq(net_client_fd(c), 0);
        wire_message ack = {.type = WIRE_ACK};
        cr_assert_eq(net_server_send(b, &in.peer, &ack, NULL, 0, NULL), RT_OK);
        net_incoming_free(&in);
        cr_assert_eq(net_poll(items, 3, spin_us, LONG_MS, NULL), RT_OK);
        cr_assert(!items[0].ready && !items[1].ready && items[2].ready);
        net_client_close(c);
        net_server_close(a);
        net_server_close(b);
    }
}

Test(endpoint, a_client_without_a_server_does_not_queue_without_end)
{
    net_client *c = ask_at("tcp://127.0.0.1:1");
    wire_message m = {.type = WIRE_PULL};
    unsigned n = 0;
    rt_status st = RT_OK;
    while (n < 10000 && (st = net_client_send(c, &m, NULL, 0, NULL, NULL)) == RT_OK) n++;
    cr_assert_eq(st, RT_UNAVAILABLE);
    cr_assert_lt(n, 100);
    net_client_close(c);
}

/* The server stands for a connection that has gone deaf: it takes everything and answers nothing. */
Test(endpoint, a_client_without_answers_makes_its_socket_anew_when_its_patience_ends)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    net_client *c = ask_at(net_server_endpoint(s));
    net_peer first = {.n = 0};
    bool is_new = false;
    uint64_t until_ms = rt_clock_mono_ms() + LONG_MS;
    net_client_set_patience(c, 200);
    while (!is_new && rt_clock_mono_ms() < until_ms) {
        net_incoming in = {0};
        wire_message m = {.type = WIRE_PULL};
        if (net_client_send(c, &m, NULL, 0, NULL, NULL) != RT_OK) continue; /* not connected yet */
        if (net_server_receive(s, 20, &in, NULL) != RT_OK) continue;
        if (first.n == 0) first = in.peer;
        is_new = in.peer.n != first.n || memcmp(in.peer.bytes, first.bytes, first.n) != 0;
        net_incoming_free(&in);
    }
    cr_expect(is_new);
    net_client_close(c);
    net_server_close(s);
}

Test(endpoint, a_client_that_is_answered_keeps_its_socket)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    net_client *c = ask_at(net_server_endpoint(s));
    net_peer first = {.n = 0};
    uint64_t until_ms = rt_clock_mono_ms() + 1000;
    net_client_set_patience(c, 400);
    while (rt_clock_mono_ms() < until_ms) {
        wire_message m = {.type = WIRE_PULL};
        if (net_client_send(c, &m, NULL, 0, NULL, NULL) != RT_OK) continue; /* not connected yet */
        net_incoming in = must_receive(s), answer = {0};
        if (first.n == 0) first = in.peer;
        cr_expect(in.peer.n == first.n && memcmp(in.peer.bytes, first.bytes, first.n) == 0);
        wire_message grant = {.type = WIRE_PUSHED, .message_id = in.message.message_id};
        cr_assert_eq(net_server_send(s, &in.peer, &grant, NULL, 0, NULL), RT_OK);
        cr_assert_eq(net_client_receive(c, LONG_MS, &answer, NULL), RT_OK);
        net_incoming_free(&answer);
        net_incoming_free(&in);
        rt_sleep_ms(20); /* or an answer meets a full queue */
    }
    net_client_close(c);
    net_server_close(s);
}
