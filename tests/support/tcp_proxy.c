/* A TCP proxy that spoils connections, for the tests of tests/faults.
 *
 *     tcp-proxy LISTEN_PORT TARGET_PORT CONTROL_FILE
 *
 * prints "ready" once it listens on 127.0.0.1. The first word of the control file, read every 20
 * ms, says what happens to all connections from then on:
 *
 *     pass            bytes go through
 *     block           none does, either way; connections stay open, as in a partition
 *     block-up        none from the client to the target; block-down: the other way
 *     reset           connections are cut as soon as they are there
 *     cut N           each connection is cut after N more bytes
 *     delay MS        bytes wait so long before they go on
 *     flip N          one bit of every Nth byte is turned, both ways
 *     twice           every chunk of bytes is sent twice, both ways
 *
 * Blocked bytes are kept in the kernel's buffers and go on when the network is back, as TCP's own
 * repeats would see to.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 256
#define CHUNK     65536
#define LOOK_MS   20

typedef enum mode { PASS, BLOCK, BLOCK_UP, BLOCK_DOWN, RESET, CUT, DELAY, FLIP, TWICE } mode;

static const char *const mode_names[] = {"pass", "block", "block-up", "block-down", "reset",
                                         "cut",  "delay", "flip",     "twice"};

typedef struct pair {
    int fds[2];    /* client, target */
    uint64_t left; /* until it is cut */
    uint64_t passed;
} pair;

typedef struct proxy {
    pair pairs[PAIRS_MAX];
    size_t n;
    int listener;
    uint16_t target;
    const char *control;
    mode mode;
    uint64_t value;
} proxy;

static void die(const char *what)
{
    fprintf(stderr, "tcp-proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t port)
{
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = loopback(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0)
        die("listen");
    return fd;
}

static void close_pair(proxy *p, size_t i)
{
    close(p->pairs[i].fds[0]);
    close(p->pairs[i].fds[1]);
    p->pairs[i] = p->pairs[--p->n];
}

static void accept_one(proxy *p)
{
    struct sockaddr_in to = loopback(p->target);
    int client = accept(p->listener, NULL, NULL);
    if (client < 0) return;
    int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = p->mode == RESET || p->n == PAIRS_MAX ||
                   connect(target, (struct sockaddr *)&to, sizeof to) != 0;
    if (refused) {
        close(client);
        close(target);
        return;
    }
    p->pairs[p->n++] = (pair){.fds = {client, target}, .left = p->value};
}

static void read_control(proxy *p)
{
    char word[32] = "";
    unsigned long long value = 0;
    FILE *f = fopen(p->control, "r");
    if (f == NULL) return;
    int n = fscanf(f, "%31s %llu", word, &value);
    fclose(f);
    for (size_t i = 0; n >= 1 && i < sizeof mode_names / sizeof *mode_names; i++) {
        if (strcmp(word, mode_names[i]) != 0) continue;
        bool is_new = p->mode != (mode)i || p->value != value;
        p->mode = (mode)i;
        p->value = value;
        for (size_t k = 0; is_new && k < p->n; k++) p->pairs[k].left = value;
    }
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        bytes += k;
        n -= (size_t)k;
    }
    return true;
}

static void flip(pair *c, char *bytes, size_t n, uint64_t every)
{
    for (size_t i = 0; every > 0 && i < n; i++)
        if (++c->passed % every == 0) bytes[i] = (char)(bytes[i] ^ (1 << (c->passed / every % 8)));
}

/* False: the connection is over. */
static bool carry(proxy *p, pair *c, int from)
{
    static char bytes[CHUNK];
    ssize_t n = recv(c->fds[from], bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    size_t n_now = (size_t)n;
    if (p->mode == CUT && n_now > c->left) n_now = (size_t)c->left;
    if (p->mode == DELAY)
        nanosleep(&(struct timespec){(time_t)(p->value / 1000), (long)(p->value % 1000) * 1000000},
                  NULL);
    if (p->mode == FLIP) flip(c, bytes, n_now, p->value);
    if (!send_all(c->fds[!from], bytes, n_now)) return false;
    if (p->mode == TWICE && !send_all(c->fds[!from], bytes, n_now)) return false;
    if (p->mode != CUT) return true;
    c->left -= n_now;
    return c->left > 0;
}

static bool may_read(const proxy *p, int from)
{
    if (p->mode == BLOCK) return false;
    return !(p->mode == BLOCK_UP && from == 0) && !(p->mode == BLOCK_DOWN && from == 1);
}

static void turn(proxy *p)
{
    static struct pollfd polls[2 * PAIRS_MAX + 1];
    size_t n = p->n;
    polls[0] = (struct pollfd){.fd = p->listener, .events = POLLIN};
    for (size_t i = 0; i < n; i++)
        for (int from = 0; from < 2; from++)
            polls[1 + 2 * i + (size_t)from] = (struct pollfd){
                .fd = may_read(p, from) ? p->pairs[i].fds[from] : -1, .events = POLLIN};
    if (poll(polls, 1 + 2 * n, LOOK_MS) < 0 && errno != EINTR) die("poll");
    for (size_t i = n; i-- > 0;) {
        bool alive = p->mode != RESET;
        for (int from = 0; alive && from < 2; from++)
            if (polls[1 + 2 * i + (size_t)from].fd >= 0 &&
                polls[1 + 2 * i + (size_t)from].revents != 0)
                alive = carry(p, &p->pairs[i], from);
        if (!alive) close_pair(p, i);
    }
    if (polls[0].revents != 0) accept_one(p);
}

int main(int argc, char **argv)
{
    static proxy p;
    if (argc != 4) {
        fputs("usage: tcp-proxy LISTEN_PORT TARGET_PORT CONTROL_FILE\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    p.listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
    p.target = (uint16_t)strtoul(argv[2], NULL, 10);
    p.control = argv[3];
    puts("ready");
    fflush(stdout);
    for (;;) {
        read_control(&p);
        turn(&p);
    }
}
