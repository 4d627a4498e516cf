/* Any bytes sent to the coordinator's HTTP server are answered by HTTP, or the connection is closed; it
 * never fails, hangs or hands anything out without a key. The first byte chooses the server with keys or
 * the one without; the rest goes through a connection of its own, which is then reset. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http/server.h"

#define SILENT_MS    1 /* most inputs are no whole request, and the server waits for the rest */
#define HANGS_MS     30000
#define HEALTH_EVERY 64
#define KEY          "a-key-of-the-fuzzer-that-nobody-guesses"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* One for the life of the process: what is fuzzed is a server that goes on. */
static http_server *servers[2];
static uint16_t ports[2];
static char key_file[] = "/tmp/retort-fuzz-http.XXXXXX";

static void remove_key_file(void)
{
    unlink(key_file);
}

static void must(bool good)
{
    if (!good) abort();
}

static void put(pictures *p, picture which, const char *text)
{
    rt_buf line = {0};
    must(rt_buf_add_text(&line, text, NULL) == RT_OK);
    pictures_put(p, which, &line);
}

static void open_servers(void)
{
    pictures *p = NULL;
    int fd = mkstemp(key_file);
    must(fd >= 0 && write(fd, KEY "\n", sizeof KEY) == (ssize_t)sizeof KEY);
    close(fd);
    must(atexit(remove_key_file) == 0);
    must(pictures_new(1, &p, NULL) == RT_OK);
    put(p, PICTURE_STATS, "{\"step\":17}\n");
    put(p, PICTURE_METRICS, "retort_version 17\n");
    put(p, PICTURE_ROWS, "{\"labelled\":[]}\n");
    pictures_set_ready(p, "");
    pictures_event(p, EVENT_MEMBER, "student-1", "joined");
    for (int k = 0; k < 2; k++) {
        must(http_server_open("127.0.0.1:0", k == 0 ? "" : key_file, p, &servers[k], NULL) ==
             RT_OK);
        ports[k] = (uint16_t)atoi(strrchr(http_server_address(servers[k]), ':') + 1);
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct linger at_once = {.l_onoff = 1};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    must(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* What comes until it is silent for so long. */
static size_t read_answer(int fd, char *text, size_t n_text, int patience_ms)
{
    size_t n = 0;
    struct pollfd item = {.fd = fd, .events = POLLIN};
    while (n < n_text - 1 && poll(&item, 1, n == 0 ? patience_ms : SILENT_MS) == 1) {
        ssize_t got = recv(fd, text + n, n_text - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return n;
}

/* The server goes on, whatever it was sent. */
static void ask_health(uint16_t port)
{
    static const char ask[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    char text[1024];
    int fd = connect_to(port);
    must(send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ask - 1);
    must(read_answer(fd, text, sizeof text, HANGS_MS) > 0);
    must(strncmp(text, "HTTP/1.1 200", 12) == 0);
    close(fd);
}

static bool holds(const uint8_t *bytes, size_t n, const char *word)
{
    return memmem(bytes, n, word, strlen(word)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char text[1 << 16];
    static unsigned n_runs;
    if (servers[0] == NULL) open_servers();
    if (n < 2) return 0;
    int with_keys = bytes[0] % 2;
    http_server_beat(servers[with_keys], UINT64_MAX / 2);
    if (n_runs++ % HEALTH_EVERY == 0) ask_health(ports[with_keys]);
    int fd = connect_to(ports[with_keys]);
    ssize_t sent = send(fd, bytes + 1, n - 1, MSG_NOSIGNAL);
    (void)sent; /* it may hang up before it has read all */
    size_t n_answer = read_answer(fd, text, sizeof text, SILENT_MS);
    close(fd);
    if (n_answer == 0) return 0;
    must(strncmp(text, "HTTP/1.", 7) == 0);
    if (with_keys && !holds(bytes, n, KEY))
        must(strstr(text, "\"step\":17") == NULL && strstr(text, "retort_version 17") == NULL);
    return 0;
}
