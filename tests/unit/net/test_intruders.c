/* What comes from strangers: raw bytes, HTTP and foreign ZeroMQ peers. Wrong keys: test_curve.c. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/net/endpoint.h"

#define LONG_MS 10000

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

typedef struct echoer {
    net_server *server;
    pthread_t thread;
    atomic_bool stop;
} echoer;

static void *run_echo(void *arg)
{
    echoer *e = arg;
    while (!atomic_load(&e->stop)) {
        net_incoming in = {0};
        if (net_server_receive(e->server, 10, &in, NULL) != RT_OK) continue;
        wire_message m = {.type = WIRE_ACK, .message_id = in.message.message_id};
        (void)!net_server_send(e->server, &in.peer, &m, NULL, 0, NULL);
        net_incoming_free(&in);
    }
    return NULL;
}

static void stop(echoer *e)
{
    atomic_store(&e->stop, true);
    pthread_join(e->thread, NULL);
}

static rt_status ask(net_client *c, uint64_t timeout_ms, rt_error *err)
{
    wire_message m = {.type = WIRE_PULL};
    net_incoming in = {0};
    rt_status st = net_client_request(c, &m, NULL, 0, timeout_ms, &in, err);
    net_incoming_free(&in);
    return st;
}

static int raw_connect(const char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* Send bytes, then read until the server hangs up or says nothing more. */
static void throw_at(const char *endpoint, const void *bytes, size_t n)
{
    char sink[512];
    int fd = raw_connect(endpoint);
    (void)!send(fd, bytes, n, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, sink, sizeof sink, 0) > 0) continue;
    close(fd);
}

Test(intruders, random_bytes_and_http_are_counted_and_others_go_on)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n\r\n";
    /* A greeting of ZMTP 3.0 with the NULL mechanism, then rubbish. */
    unsigned char zmtp[64 + 100] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    net_server *s = serve_at("tcp://127.0.0.1:*");
    net_client *c = ask_at(net_server_endpoint(s));
    rng_key key = rng_key_make(1, "intruders", (rt_id){0, 0}, 0);
    echoer e = {.server = s};
    cr_assert_eq(pthread_create(&e.thread, NULL, run_echo, &e), 0);
    throw_at(net_server_endpoint(s), http, sizeof http - 1);
    for (uint64_t i = 0; i < 30; i++) {
        unsigned char bytes[300];
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (unsigned char)rng_u64(key, 999 * i + j);
        if (i % 3 == 0) bytes[0] = 0xff;
        throw_at(net_server_endpoint(s), bytes, sizeof bytes);
    }
    for (size_t j = 64; j < sizeof zmtp; j++) zmtp[j] = (unsigned char)rng_u64(key, j);
    throw_at(net_server_endpoint(s), zmtp, sizeof zmtp);
    rt_error err = {0};
    cr_assert_eq(ask(c, LONG_MS, &err), RT_OK, "%s", err.text);
    stop(&e);
    net_incoming in = {0};
    cr_assert_eq(net_server_receive(s, 0, &in, NULL), RT_TIMEOUT);
    const net_counts *counts = net_server_counts(s);
    cr_assert_eq(counts->n_received, 1);
    cr_assert_gt(counts->n_foreign + counts->n_dropped, 0);
    net_client_close(c);
    net_server_close(s);
}

/* AddressSanitizer keeps freed memory aside for a while. */
#ifdef __SANITIZE_ADDRESS__
#define KEPT_BYTES_MAX ((size_t)1 << 30)
#else
#define KEPT_BYTES_MAX ((size_t)3 << 20)
#endif

static size_t resident_bytes(void)
{
    unsigned long n_all, n_resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%lu %lu", &n_all, &n_resident), 2);
    fclose(f);
    return n_resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* HTTP with a long header: to ZeroMQ a peer of ZMTP 1.0, where a frame is a length, flags and bytes.
 * 'G' is the length of a routing id, the same for all; each 'a' begins 97 bytes of which more follow;
 * and the end makes a whole message of it, which nobody reads. */
Test(intruders, what_unfinished_connections_sent_is_not_kept)
{
    char text[72 + 60 * 98 + 2];
    size_t n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nX: ");
    memset(text + n, 'a', sizeof text - n);
    text[sizeof text - 2] = 1;
    text[sizeof text - 1] = 0;
    echoer e = {.server = serve_at("tcp://127.0.0.1:*")};
    cr_assert_eq(pthread_create(&e.thread, NULL, run_echo, &e), 0);
    net_client *c = ask_at(net_server_endpoint(e.server));
    size_t before = 0;
    for (int i = 0; i < 2500; i++) {
        throw_at(net_server_endpoint(e.server), text, sizeof text);
        if (i % 50 != 49) continue;
        cr_expect_eq(ask(c, LONG_MS, NULL), RT_OK); /* an answer: it has kept up with them */
        if (i == 499) before = resident_bytes();    /* buffers are made by then */
    }
    size_t after = resident_bytes();
    cr_expect_lt(after, before + KEPT_BYTES_MAX, "%zu bytes before, %zu after", before, after);
    net_client_close(c);
    stop(&e);
    net_server_close(e.server);
}

static void *foreign_dealer(void *context, const char *endpoint)
{
    int zero = 0;
    void *z = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(z, ZMQ_LINGER, &zero, sizeof zero);
    cr_assert_eq(zmq_connect(z, endpoint), 0);
    return z;
}

/* Wait until the server has dropped `n` messages and accepted none. */
static void expect_dropped(net_server *s, uint64_t n)
{
    net_incoming in = {0};
    while (net_server_counts(s)->n_dropped < n)
        cr_assert_eq(net_server_receive(s, 20, &in, NULL), RT_TIMEOUT);
    cr_assert_eq(net_server_counts(s)->n_dropped, n);
}

Test(intruders, messages_of_a_foreign_zeromq_peer_are_dropped_one_by_one)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new(), *z = foreign_dealer(context, net_server_endpoint(s));
    zmq_send(z, "hello", 5, 0);
    zmq_send(z, "", 0, 0);
    zmq_send(z, "", 0, ZMQ_SNDMORE);
    zmq_send(z, "world", 5, 0);
    expect_dropped(s, 3);
    zmq_close(z);
    zmq_ctx_term(context);
    net_server_close(s);
}

Test(intruders, another_number_of_frames_than_announced_is_dropped)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new(), *z = foreign_dealer(context, net_server_endpoint(s));
    wire_message m = {.type = WIRE_PULL, .run_id = "run-1", .sender = "student-0"};
    static const uint32_t announced[] = {0, 2, 4, 1u << 31};
    for (size_t i = 0; i < RT_COUNT(announced); i++) {
        rt_buf bytes = {0};
        m.n_frames = announced[i];
        cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
        zmq_send(z, bytes.data, bytes.n, ZMQ_SNDMORE);
        zmq_send(z, "a", 1, ZMQ_SNDMORE);
        zmq_send(z, "b", 1, ZMQ_SNDMORE);
        zmq_send(z, "c", 1, 0);
        rt_buf_free(&bytes);
    }
    expect_dropped(s, 4);
    /* and the right number is not: the stream of parts is still in step */
    rt_buf bytes = {0};
    net_incoming in = {0};
    m.n_frames = 1;
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    zmq_send(z, bytes.data, bytes.n, ZMQ_SNDMORE);
    zmq_send(z, "abc", 3, 0);
    cr_assert_eq(net_server_receive(s, LONG_MS, &in, NULL), RT_OK);
    cr_assert_eq(in.n_frames, 1);
    net_incoming_free(&in);
    rt_buf_free(&bytes);
    zmq_close(z);
    zmq_ctx_term(context);
    net_server_close(s);
}

Test(intruders, a_frame_beyond_the_limit_is_dropped)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new(), *z = foreign_dealer(context, net_server_endpoint(s));
    wire_message m = {.type = WIRE_PULL, .run_id = "run-1", .sender = "student-0", .n_frames = 1};
    rt_buf bytes = {0};
    size_t n = NET_FRAME_BYTES_MAX + 1;
    char *frame = calloc(n, 1);
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    zmq_send(z, bytes.data, bytes.n, ZMQ_SNDMORE);
    zmq_send(z, frame, n, 0);
    expect_dropped(s, 1);
    free(frame);
    rt_buf_free(&bytes);
    zmq_close(z);
    zmq_ctx_term(context);
    net_server_close(s);
}

static void send_bytes(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A peer that speaks ZMTP 3.0 without keys, sends n short messages and resets its connection. */
static void flood_and_reset(const char *endpoint, int n)
{
    static const char greeting[64] = "\xFF\0\0\0\0\0\0\0\0\x7F\x03\0NULL";
    static const char ready[] = "\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06"
                                "DEALER";
    static const char message[6] = "\0\x04nois";
    struct linger at_once = {.l_onoff = 1};
    char theirs[64];
    int fd = raw_connect(endpoint);
    send_bytes(fd, greeting, sizeof greeting);
    cr_assert_eq(recv(fd, theirs, sizeof theirs, MSG_WAITALL), (ssize_t)sizeof theirs);
    send_bytes(fd, ready, sizeof ready - 1);
    cr_assert_gt(recv(fd, theirs, sizeof theirs, 0), 0, "its READY");
    for (int i = 0; i < n; i++) send_bytes(fd, message, sizeof message);
    rt_sleep_ms(300); /* until its reader has stopped at the high-water mark */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* A reader that is busy elsewhere, a full pipe and a peer that leaves: heartbeats of libzmq 4.3.4 end the
 * process then (an assertion in its I/O thread), within their interval of 5 s. */
Test(intruders, a_peer_that_leaves_a_full_pipe_behind_ends_nobody)
{
    net_server *s = serve_at("tcp://127.0.0.1:*");
    flood_and_reset(net_server_endpoint(s), 300);
    rt_sleep_ms(5500);
    net_client *c = ask_at(net_server_endpoint(s));
    wire_message m = {.type = WIRE_ACK};
    uint64_t id = 0;
    cr_assert_eq(net_client_send(c, &m, NULL, 0, &id, NULL), RT_OK);
    net_incoming in = {0};
    cr_assert_eq(net_server_receive(s, LONG_MS, &in, NULL), RT_OK);
    net_incoming_free(&in);
    net_client_close(c);
    net_server_close(s);
}

static int raw_listen(char endpoint[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, n), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* The next connection of a client that goes on sending meanwhile, as a shard reports; -1: none came. */
static int accept_while_it_sends(int listener, net_client *c, uint64_t duration_ms)
{
    uint64_t until_ms = rt_clock_mono_ms() + duration_ms;
    int fd = -1;
    while (fd < 0 && rt_clock_mono_ms() < until_ms) {
        wire_message m = {.type = WIRE_PULL};
        net_incoming in = {0};
        (void)!net_client_send(c, &m, NULL, 0, NULL, NULL);
        (void)!net_client_receive(c, 10, &in, NULL);
        net_incoming_free(&in);
        fd = accept(listener, NULL, NULL);
    }
    return fd;
}

/* A server that speaks ZMTP 3.0 until a bit of what it says was turned. */
static void greet_and_say(int fd, const void *bytes, size_t n)
{
    static const char greeting[64] = "\xFF\0\0\0\0\0\0\0\0\x7F\x03\0NULL";
    static const char ready[] = "\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06"
                                "ROUTER";
    char theirs[64];
    send_bytes(fd, greeting, sizeof greeting);
    cr_assert_eq(recv(fd, theirs, sizeof theirs, MSG_WAITALL), (ssize_t)sizeof theirs);
    send_bytes(fd, ready, sizeof ready - 1);
    cr_assert_gt(recv(fd, theirs, sizeof theirs, 0), 0, "its READY");
    send_bytes(fd, bytes, n);
}

/* ZeroMQ gives up a connection for good whose frames cannot be, or stops to read it: then the client's
 * patience has to end. */
Test(intruders, a_client_comes_back_after_a_frame_that_cannot_be)
{
    static const unsigned char too_long[9] = {2, 0x40}, no_command[6] = {4, 4, 200, 'x', 'x', 'x'};
    const struct {
        const void *bytes;
        size_t n;
        uint64_t patience_ms;
    } cases[] = {{too_long, sizeof too_long, 0}, {no_command, sizeof no_command, 500}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char endpoint[64];
        int listener = raw_listen(endpoint);
        net_client *c = ask_at(endpoint);
        net_client_set_patience(c, cases[i].patience_ms);
        int fd = accept_while_it_sends(listener, c, LONG_MS);
        cr_assert_geq(fd, 0);
        greet_and_say(fd, cases[i].bytes, cases[i].n);
        int again = accept_while_it_sends(listener, c, LONG_MS);
        cr_expect_geq(again, 0, "case %zu", i);
        net_client_close(c);
        close(again);
        close(fd);
        close(listener);
    }
}
