/* The coordinator's pages over real connections: what is too much, and who is let through beside it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http/server.h"

static http_server *open_server(void)
{
    http_server *h = NULL;
    rt_error err = {0};
    cr_assert_eq(http_server_open("127.0.0.1:0", "", &h, &err), RT_OK, "%s", err.text);
    return h;
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
    cr_expect_eq(http_server_open("0.0.0.0:0", "", &h, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "net.http_key_file"), "%s", err.text);
    cr_expect_eq(http_server_open("[::]:0", "", &h, &err), RT_INVALID);
    cr_expect_eq(http_server_open("127.0.0.1:0", "/nonexistent/keys", &h, &err), RT_NOTFOUND);
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
    http_server_close(h);
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
    http_server_close(h);
}
