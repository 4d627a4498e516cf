/* Noise for every listening port: random bytes, half a ZMTP, rubbish behind a whole ZMTP handshake,
 * broken HTTP. Says how much it sent; whether anybody minded is for the caller to see.
 *
 *     port-noise [--seconds N] [--seed N] [--idle N] PORT...      on 127.0.0.1
 *
 * --idle: so many connections more that say nothing, and are made again when they are closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/open_files.h"

#define OPEN_MAX_HERE 24 /* connections at once */
#define BYTES_MAX     8192

static uint64_t state; /* of the generator: splitmix64, so that a seed repeats */

static uint64_t next(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return (size_t)(next() % n);
}

static size_t add_random(unsigned char *out, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) out[at + i] = (unsigned char)next();
    return at + n;
}

static size_t add_text(unsigned char *out, size_t at, const char *text)
{
    memcpy(out + at, text, strlen(text));
    return at + strlen(text);
}

static size_t add_greeting(unsigned char *out, const char *mechanism, unsigned char as_server)
{
    memset(out, 0, 64);
    out[0] = 0xff;
    out[8] = 1;
    out[9] = 0x7f;
    out[10] = 3;
    memcpy(out + 12, mechanism, strlen(mechanism));
    out[32] = as_server;
    return 64;
}

/* A frame of ZMTP with a true length, or with one that promises more. */
static size_t add_frame(unsigned char *out, size_t at, const void *bytes, size_t n, unsigned flags,
                        bool lies)
{
    out[at++] = (unsigned char)(flags | 2u);
    uint64_t length = lies ? next() >> below(60) : n;
    for (int i = 7; i >= 0; i--) out[at++] = (unsigned char)(length >> (8 * i));
    memcpy(out + at, bytes, n);
    return at + n;
}

static size_t make_zmtp(unsigned char *out)
{
    static const unsigned char ready[] = "\x05READY\x0bSocket-Type\0\0\0\x06"
                                         "DEALER\x08Identity\0\0\0\0";
    unsigned char junk[600];
    size_t n = add_greeting(out, next() % 4 == 0 ? "CURVE" : "NULL", (unsigned char)(next() % 2));
    if (next() % 4 == 0) return add_random(out, n, below(2000));
    n = add_frame(out, n, ready, sizeof ready - 1, 4, false);
    for (size_t i = below(6); i > 0; i--) {
        size_t n_junk = add_random(junk, 0, below(sizeof junk));
        n = add_frame(out, n, junk, n_junk, (unsigned)below(8), next() % 4 == 0);
    }
    return n;
}

static size_t make_http(unsigned char *out)
{
    static const char *const starts[] = {
        "GET / HTTP/1.1\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 300\r\n",
        "GET /metrics HTTP/1.1\r\nAuthorization: Bearer x\r\n",
        "GET /api/stats HTTP/9.9\r\n",
        "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n",
        "GET /%00%ff%../../etc/passwd HTTP/1.1\r\n",
        "\r\n\r\n\r\n",
    };
    size_t n = add_text(out, 0, starts[below(RT_COUNT(starts))]);
    if (next() % 3 == 0) { /* a header of any length */
        n = add_text(out, n, "X: ");
        size_t n_long = below(6000);
        memset(out + n, 'a', n_long);
        n = add_text(out, n + n_long, "\r\n");
    }
    if (next() % 4 != 0) n = add_text(out, n, "\r\n");
    if (next() % 2 == 0) n = add_text(out, n, "{\"messages\":[[[[[[");
    return add_random(out, n, below(400));
}

static size_t make_noise(unsigned char *out)
{
    switch (next() % 4) {
    case 0: return add_random(out, 0, 1 + below(3000));
    case 1: return make_http(out);
    default: return make_zmtp(out);
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

typedef struct totals {
    uint64_t n_connections, n_refused, n_bytes;
} totals;

/* Keeps the newest connections open: some wait for an answer, some say no more. */
static void make_turn(const uint16_t *ports, size_t n_ports, int fds[OPEN_MAX_HERE], totals *t)
{
    unsigned char bytes[BYTES_MAX + 1024], sink[4096];
    size_t i = below(OPEN_MAX_HERE);
    if (fds[i] >= 0) {
        while (recv(fds[i], sink, sizeof sink, 0) > 0) continue;
        close(fds[i]);
    }
    fds[i] = connect_to(ports[below(n_ports)]);
    if (fds[i] < 0) {
        t->n_refused++;
        return;
    }
    t->n_connections++;
    ssize_t n = send(fds[i], bytes, make_noise(bytes), MSG_NOSIGNAL);
    if (n > 0) t->n_bytes += (uint64_t)n;
}

/* A hung-up one is replaced, so that there are always as many as wanted. */
static void keep_idle(const uint16_t *ports, size_t n_ports, int *fds, size_t n, totals *t)
{
    char sink[64];
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0 && (recv(fds[i], sink, sizeof sink, 0) > 0 || errno == EAGAIN)) continue;
        if (fds[i] >= 0) close(fds[i]);
        fds[i] = connect_to(ports[i % n_ports]);
        if (fds[i] >= 0) t->n_connections++;
        if (fds[i] < 0) t->n_refused++;
    }
}

int main(int argc, char **argv)
{
    uint64_t seconds = 5, port = 0, n_idle = 0;
    uint16_t ports[16];
    size_t n_ports = 0;
    int fds[OPEN_MAX_HERE], idle[4000];
    totals t = {0};
    for (int i = 1; i < argc; i++) {
        bool has_next = i + 1 < argc;
        if (strcmp(argv[i], "--seconds") == 0 && has_next && rt_parse_u64(argv[i + 1], &seconds))
            i++;
        else if (strcmp(argv[i], "--seed") == 0 && has_next && rt_parse_u64(argv[i + 1], &state))
            i++;
        else if (strcmp(argv[i], "--idle") == 0 && has_next && rt_parse_u64(argv[i + 1], &n_idle))
            i++;
        else if (rt_parse_u64(argv[i], &port) && port < 65536 && n_ports < RT_COUNT(ports))
            ports[n_ports++] = (uint16_t)port;
        else
            return 2;
    }
    if (n_ports == 0 || n_idle > RT_COUNT(idle)) return 2;
    (void)rt_open_files_raise();
    for (size_t i = 0; i < n_idle; i++) idle[i] = -1;
    for (size_t i = 0; i < OPEN_MAX_HERE; i++) fds[i] = -1;
    uint64_t until_ms = rt_clock_mono_ms() + seconds * 1000;
    while (rt_clock_mono_ms() < until_ms) {
        if (n_idle > 0) keep_idle(ports, n_ports, idle, n_idle, &t);
        make_turn(ports, n_ports, fds, &t);
    }
    for (size_t i = 0; i < OPEN_MAX_HERE; i++)
        if (fds[i] >= 0) close(fds[i]);
    printf("connections %" PRIu64 " refused %" PRIu64 " bytes %" PRIu64 "\n", t.n_connections,
           t.n_refused, t.n_bytes);
    return 0;
}
