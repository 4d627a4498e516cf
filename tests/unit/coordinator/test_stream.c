/* Readers of a stream that do not read. A server of its own with a short patience. */
#include "coordinator/http/stream.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/http_server/http_daemon.h"

#define PATIENCE_S 1
#define PICTURE_BYTES \
    ((size_t)1 << 20) /* more than a stream may have in the system, less than others may */

static pictures *seen;
static streams *all;
static struct MHD_Daemon *server;
static char address[HTTP_ADDRESS_SIZE];

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *n_body, void **state)
{
    (void)context;
    (void)url;
    (void)method;
    (void)version;
    (void)body;
    (void)n_body;
    (void)state;
    struct MHD_Response *response = streams_response(all, connection);
    if (response == NULL) return MHD_NO;
    enum MHD_Result done = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return done;
}

static void open_all(void)
{
    rt_error err = {0};
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    http_daemon_settings how = {.socket = (const struct sockaddr *)&loopback,
                                .flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
                                .handle = handle,
                                .connections_max = 8,
                                .timeout_s = PATIENCE_S};
    cr_assert_eq(pictures_new(1, &seen, &err), RT_OK);
    cr_assert_eq(streams_new(seen, NULL, &all, &err), RT_OK);
    cr_assert_eq(http_daemon_start(&how, &server, address, &err), RT_OK, "%s", err.text);
}

static void close_all(void)
{
    streams_end(all);
    MHD_stop_daemon(server);
    streams_free(all);
    pictures_free(seen);
}

TestSuite(stream, .init = open_all, .fini = close_all);

static void put_large(char fill)
{
    rt_buf page = {0};
    char block[4096];
    memset(block, fill, sizeof block);
    while (page.n < PICTURE_BYTES)
        cr_assert_eq(rt_buf_add(&page, block, sizeof block, NULL), RT_OK);
    cr_assert_eq(rt_buf_add(&page, "\n", 1, NULL), RT_OK);
    pictures_put(seen, PICTURE_STATS, &page);
    streams_wake(all);
}

static int open_reader(void)
{
    static const char request[] = "GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    cr_assert_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    return fd;
}

/* Waits at most 8 s. */
static bool n_becomes(size_t n)
{
    uint64_t until_ms = rt_clock_mono_ms() + 8000;
    while (streams_n(all) != n && rt_clock_mono_ms() < until_ms) rt_sleep_ms(10);
    return streams_n(all) == n;
}

/* Bytes of a whole picture at least, without an end of the connection. */
static bool takes_a_picture(int fd)
{
    static char block[65536];
    for (size_t n = 0; n < PICTURE_BYTES;) {
        ssize_t got = recv(fd, block, sizeof block, 0);
        if (got <= 0) return false;
        n += (size_t)got;
    }
    return true;
}

Test(stream, a_reader_that_takes_nothing_is_cut_off_and_one_that_takes_all_is_not)
{
    put_large('a');
    int slow = open_reader();
    cr_expect(n_becomes(1));
    int good = open_reader();
    cr_expect(takes_a_picture(good));
    cr_expect(n_becomes(1), "%zu streams: the slow one is still there", streams_n(all));
    put_large('b');
    cr_expect(takes_a_picture(good), "it slept longer than the patience and is awake");
    cr_expect_eq(streams_n(all), 1);
    close(good);
    close(slow);
}

/* Reads as many bytes as a picture has; which letters stand in rows of it. */
static void read_picture(int fd, bool *letters)
{
    static char block[65536];
    memset(letters, 0, 26 * sizeof *letters);
    for (size_t n = 0; n < PICTURE_BYTES;) {
        ssize_t got = recv(fd, block, sizeof block, 0);
        if (got <= 0) return;
        for (ssize_t i = 0; i < got; i++) { /* rows of one letter; words of the format are short */
            bool inside =
                i > 0 && i + 1 < got && block[i] == block[i - 1] && block[i] == block[i + 1];
            if (inside && block[i] >= 'a' && block[i] <= 'z') letters[block[i] - 'a'] = true;
        }
        n += (size_t)got;
    }
}

/* As the loop of the coordinator does, whose turns are shorter than a second. */
static bool wakes_until_told(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 100; i++) {
        streams_wake(all);
        if (poll(&one, 1, 100) == 1) return true;
    }
    return false;
}

Test(stream, a_reader_that_was_slow_is_sent_the_newest_picture_and_none_between)
{
    bool letters[26];
    put_large('q');
    int reader = open_reader();
    cr_expect(n_becomes(1));
    for (char fill = 'u'; fill <= 'y'; fill++) put_large(fill);
    read_picture(reader, letters);
    cr_expect(letters['q' - 'a']);
    cr_expect_not(letters['u' - 'a'] || letters['x' - 'a']);
    cr_assert(wakes_until_told(reader), "nothing came for 10 s, expected a picture each second");
    read_picture(reader, letters);
    cr_expect(letters['y' - 'a']);
    cr_expect_not(letters['u' - 'a'] || letters['x' - 'a'], "nothing was kept for it");
    close(reader);
}
