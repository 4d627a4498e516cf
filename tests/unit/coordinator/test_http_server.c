/* The coordinator's pages over real connections: what is too much, and who is let through beside it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http/server.h"

/* One for each test's process. */
static pictures *seen;

static http_server *open_server(void)
{
    http_server *h = NULL;
    rt_error err = {0};
    cr_assert_eq(pictures_new(1, &seen, &err), RT_OK);
    cr_assert_eq(http_server_open("127.0.0.1:0", "", seen, &h, &err), RT_OK, "%s", err.text);
    return h;
}

static void close_server(http_server *h)
{
    http_server_close(h);
    pictures_free(seen);
}

/* A connection from `from` ("127.0.0.2" is another client of the same machine), or -1. */
static int connect_from(const http_server *h, const char *from)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_port = htons((uint16_t)atoi(strrchr(http_server_address(h), ':') + 1));
    inet_pton(AF_INET, from, &own.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(fd, (const struct sockaddr *)&own, sizeof own) == 0 &&
        connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Status of the answer, 0 when the server hung up without one. */
static int read_status(int fd)
{
    char text[256] = "";
    size_t n = 0;
    ssize_t got;
    while (n < 12 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0) n += (size_t)got;
    return n >= 12 ? atoi(text + 9) : 0;
}

static int ask(const http_server *h, const char *from, const char *request)
{
    int fd = connect_from(h, from);
    if (fd < 0) return 0;
    (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
    int status = read_status(fd);
    close(fd);
    return status;
}

#define HEALTH "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Test(http_server, beyond_loopback_it_opens_with_keys_only)
{
    http_server *h = NULL;
    rt_error err = {0};
    cr_expect_eq(http_server_open("0.0.0.0:0", "", NULL, &h, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "net.http_key_file"), "%s", err.text);
    cr_expect_eq(http_server_open("[::]:0", "", NULL, &h, &err), RT_INVALID);
    cr_expect_eq(http_server_open("127.0.0.1:0", "/nonexistent/keys", NULL, &h, &err), RT_NOTFOUND);
}

Test(http_server, takes_no_body_and_no_endless_header)
{
    http_server *h = open_server();
    rt_buf text = {0};
    cr_expect_eq(ask(h, "127.0.0.1", HEALTH), 200);
    cr_expect_eq(ask(h, "127.0.0.1",
                     "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"),
                 413);
    cr_expect_eq(
        ask(h, "127.0.0.1", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
        413);
    cr_assert_eq(rt_buf_add_text(&text, "GET / HTTP/1.1\r\nHost: x\r\nX: ", NULL), RT_OK);
    for (int i = 0; i < 100000; i++) cr_assert_eq(rt_buf_add(&text, "a", 1, NULL), RT_OK);
    int status = ask(h, "127.0.0.1", text.data);
    cr_expect(status == 431 || status == 413 || status == 0, "%d", status);
    cr_expect_eq(ask(h, "127.0.0.1", HEALTH), 200);
    rt_buf_free(&text);
    close_server(h);
}

Test(http_server, one_client_with_every_connection_leaves_room_for_a_probe)
{
    enum { N = 100 };
    int fds[N];
    http_server *h = open_server();
    for (int i = 0; i < N; i++) { /* half a request each, and then nothing */
        fds[i] = connect_from(h, "127.0.0.1");
        if (fds[i] >= 0) (void)!send(fds[i], "GET / HT", 8, MSG_NOSIGNAL);
    }
    cr_expect_eq(ask(h, "127.0.0.2", HEALTH), 200);
    for (int i = 0; i < N; i++)
        if (fds[i] >= 0) close(fds[i]);
    close_server(h);
}

/* ---- what is new ---- */

/* The whole answer of a request that closes its connection. */
static char *get(const http_server *h, const char *path)
{
    char request[256], block[4096];
    rt_buf text = {0};
    ssize_t n;
    int fd = connect_from(h, "127.0.0.1");
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
    while ((n = recv(fd, block, sizeof block, 0)) > 0)
        cr_assert_eq(rt_buf_add(&text, block, (size_t)n, NULL), RT_OK);
    close(fd);
    cr_assert_not_null(text.data, "%s: no answer", path);
    return text.data;
}

static void expect_answer(const http_server *h, const char *path, int status, const char *part)
{
    char *text = get(h, path);
    cr_expect_eq(atoi(text + 9), status, "%s: %s", path, text);
    cr_expect_not_null(strstr(text, part), "%s: %s", path, text);
    free(text);
}

static void put(picture which, const char *text)
{
    rt_buf page = {0};
    cr_assert_eq(rt_buf_add_text(&page, text, NULL), RT_OK);
    pictures_put(seen, which, &page);
}

Test(http_server, shows_what_was_put_and_takes_decimal_numbers_only)
{
    http_server *h = open_server();
    expect_answer(h, "/api/stats", 503, "starting");
    expect_answer(h, "/readyz", 503, "starting");
    put(PICTURE_STATS, "{\"run\":1}\n");
    pictures_set_ready(seen, "no student is alive");
    pictures_event(seen, EVENT_RUN, "", "one");
    pictures_event(seen, EVENT_MEMBER, "student-0", "two");
    expect_answer(h, "/api/stats", 200, "{\"run\":1}\n");
    expect_answer(h, "/readyz", 503, "\r\n\r\nno student is alive\n");
    pictures_set_ready(seen, "");
    expect_answer(h, "/readyz", 200, "ready\n");
    expect_answer(h, "/api/events?since=1", 200, "{\"seq\":2,\"events\":[{\"seq\":2,");
    expect_answer(h, "/api/events?since=99", 200, "\"text\":\"one\"");
    expect_answer(h, "/api/history", 200, "{\"seq\":0,\"points\":[],\"evaluations\":[]}\n");
    static const char *const bad[] = {
        "", "-1", "+1", "1x", "0x1", " 1", "99999999999999999999", "1.5", "%00", "1%00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[64];
        snprintf(path, sizeof path, "/api/events?since=%s", bad[i]);
        if (strchr(bad[i], ' ') != NULL) continue; /* is no request line */
        char *text = get(h, path);
        cr_expect_eq(atoi(text + 9), strcmp(bad[i], "1%00") == 0 ? 200 : 400, "%s: %s", path, text);
        free(text);
    }
    expect_answer(h, "/api/nothing", 404, "not found");
    expect_answer(h, "/assets/../server.c", 404, "not found");
    expect_answer(h, "/assets/", 404, "not found");
    expect_answer(h, "/", 200, "content-security-policy: default-src 'none'");
    close_server(h);
}

/* Reads until `part` has come, for at most 5 s. */
static bool read_until(int fd, rt_buf *text, const char *part)
{
    char block[65536];
    while (text->data == NULL || strstr(text->data, part) == NULL) {
        ssize_t n = recv(fd, block, sizeof block, 0);
        if (n <= 0 || rt_buf_add(text, block, (size_t)n, NULL) != RT_OK) return false;
    }
    return true;
}

/* As the coordinator's loop does: a stream that has just sent may not be asleep yet. */
static void wake_until_told(http_server *h, int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 50; i++) {
        http_server_wake(h);
        if (poll(&one, 1, 100) == 1) return;
    }
}

static int open_stream(const http_server *h, const char *from)
{
    static const char request[] = "GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = connect_from(h, from);
    (void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    return fd;
}

Test(http_server, a_stream_is_sent_what_is_new_and_ends_with_the_server)
{
    rt_buf text = {0};
    history_point p = {.t_s = 1, .loss = 2.5};
    http_server *h = open_server();
    put(PICTURE_STATS, "{\"first\":1}\n");
    pictures_event(seen, EVENT_RUN, "", "before");
    int fd = open_stream(h, "127.0.0.1");
    cr_expect(read_until(fd, &text, "event: stats\ndata: {\"first\":1}\n\n"));
    pictures_event(seen, EVENT_MEMBER, "student-0", "joined");
    history_add(pictures_history(seen), &p);
    wake_until_told(h, fd);
    cr_expect(read_until(fd, &text, "joined"), "%s", text.data);
    cr_expect_not_null(strstr(text.data, "event: point\ndata: {\"seq\":1,"), "%s", text.data);
    cr_expect_null(strstr(text.data, "before"), "a stream begins with what happens from now on");
    put(PICTURE_STATS, "{\"too soon\":1}\n"); /* once a second, not more often */
    pictures_event(seen, EVENT_MEMBER, "student-1", "left");
    wake_until_told(h, fd);
    cr_expect(read_until(fd, &text, "left"));
    cr_expect_null(strstr(text.data, "too soon"), "%s", text.data);
    cr_expect_eq(http_server_n_streams(h), 1);
    close_server(h);
    cr_expect(read_until(fd, &text, "0\r\n\r\n"), "the end is told");
    close(fd);
    rt_buf_free(&text);
}

Test(http_server, more_streams_than_there_may_be_are_refused_and_probes_go_on)
{
    enum { N = 16 };
    int fds[N];
    http_server *h = open_server();
    put(PICTURE_STATS, "{}\n");
    for (int i = 0; i < N; i++) {
        rt_buf text = {0};
        fds[i] = open_stream(h, "127.0.0.1");
        cr_assert(read_until(fds[i], &text, "event: stats"));
        rt_buf_free(&text);
    }
    int one_more = open_stream(h, "127.0.0.1");
    cr_expect_eq(read_status(one_more), 503);
    close(one_more);
    cr_expect_eq(ask(h, "127.0.0.1", HEALTH), 200);
    close(fds[0]); /* noticed when something is sent */
    for (int i = 0; i < 200 && http_server_n_streams(h) == N; i++) {
        pictures_event(seen, EVENT_RUN, "", "hello");
        http_server_wake(h);
        usleep(10000);
    }
    cr_expect_eq(http_server_n_streams(h), N - 1);
    for (int i = 1; i < N; i++) close(fds[i]);
    close_server(h);
}

/* xorshift64: the same bytes each time. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random bytes in place of, inside of and behind a request for a stream. */
static size_t make_noise(uint64_t *state, char *out, size_t n_max)
{
    static const char *const starts[] = {"", "GET /api/stream HTTP/1.1\r\n",
                                         "GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n",
                                         "GET /api/stream?since="};
    const char *start = starts[next_random(state) % (sizeof starts / sizeof *starts)];
    size_t n = strlen(start), n_all = n + next_random(state) % (n_max - n);
    memcpy(out, start, n);
    while (n < n_all) out[n++] = (char)next_random(state);
    return n;
}

Test(http_server, random_bytes_to_the_stream_do_no_harm)
{
    char noise[2048];
    rt_buf text = {0};
    uint64_t state = 0x9e3779b97f4a7c15u;
    http_server *h = open_server();
    put(PICTURE_STATS, "{}\n");
    for (int i = 0; i < 400; i++) {
        int fd = connect_from(h, i % 2 == 0 ? "127.0.0.1" : "127.0.0.2");
        size_t n = make_noise(&state, noise, sizeof noise);
        if (fd < 0) continue; /* as many as may be are there */
        (void)!send(fd, noise, n, MSG_NOSIGNAL);
        close(fd);
        pictures_event(seen, EVENT_RUN, "", "hello");
        http_server_wake(h);
    }
    for (int i = 0; i < 500 && http_server_n_streams(h) > 0; i++) {
        pictures_event(seen, EVENT_RUN, "", "hello");
        http_server_wake(h);
        usleep(10000);
    }
    cr_expect_eq(http_server_n_streams(h), 0);
    cr_expect_eq(ask(h, "127.0.0.3", HEALTH), 200);
    int fd = open_stream(h, "127.0.0.3");
    cr_expect(read_until(fd, &text, "event: stats\ndata: {}\n\n"));
    close(fd);
    rt_buf_free(&text);
    close_server(h);
}
