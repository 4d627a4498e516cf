#include "tests/support/fault_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"

#define CONNECTIONS_MAX 512
#define TICK_MS         5

typedef struct connection {
    int fd; /* -1: free */
    rt_buf in;
    rt_buf out;
    size_t n_sent;
    bool answering;
    bool close_after;
    size_t slow_bytes;
    uint64_t slow_ms, next_ms;
} connection;

struct fault_server {
    fault_script script;
    void *context;
    int listener;
    char url[64];
    connection connections[CONNECTIONS_MAX];
    pthread_t thread;
    pthread_mutex_t mutex; /* guards stopping and counts */
    bool stopping;
    fault_counts counts;
};

static void end_test(const char *what)
{
    fprintf(stderr, "fault server: %s\n", what);
    abort();
}

static void must(rt_status st)
{
    if (st != RT_OK) end_test("out of memory");
}

static void hang_up(connection *c)
{
    if (c->fd >= 0) close(c->fd);
    rt_buf_free(&c->in);
    rt_buf_free(&c->out);
    *c = (connection){.fd = -1};
}

static void write_reply(connection *c, fault_reply *r, uint64_t now_ms)
{
    size_t length = r->content_length >= 0 ? (size_t)r->content_length : r->body.n;
    c->out.n = 0;
    c->n_sent = 0;
    if (!r->without_status_line)
        must(rt_buf_printf(&c->out, NULL,
                           "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: "
                           "%zu\r\n%s\r\n",
                           r->status, length, r->headers));
    must(rt_buf_add(&c->out, r->body.data != NULL ? r->body.data : "", r->body.n, NULL));
    c->close_after = r->without_status_line || r->cut_at >= 0 || length > r->body.n;
    if (r->cut_at >= 0 && (size_t)r->cut_at < c->out.n) c->out.n = (size_t)r->cut_at;
    c->slow_bytes = r->slow_bytes;
    c->slow_ms = r->slow_ms;
    c->next_ms = now_ms + r->delay_ms;
    c->answering = true;
}

static void count_waiting(fault_server *s)
{
    size_t n = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        n += s->connections[i].fd >= 0 && s->connections[i].answering;
    s->counts.n_waiting_max = RT_MAX(s->counts.n_waiting_max, n);
}

/* Answers one whole request when there is one. */
static void take_request(fault_server *s, connection *c, uint64_t now_ms)
{
    char *end = c->in.n > 0 ? strstr(c->in.data, "\r\n\r\n") : NULL;
    if (end == NULL || c->answering) return;
    size_t n_head = (size_t)(end - c->in.data) + 4;
    char *length = strcasestr(c->in.data, "\r\ncontent-length:");
    size_t n_body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (c->in.n < n_head + n_body) return;
    char *head = rt_strndup(c->in.data, n_head), *body = rt_strndup(end + 4, n_body);
    if (head == NULL || body == NULL) end_test("out of memory");
    pthread_mutex_lock(&s->mutex);
    fault_request request = {.i = s->counts.n_requests++,
                             .head = head,
                             .body = body,
                             .n_body = n_body,
                             .now_ms = now_ms};
    pthread_mutex_unlock(&s->mutex);
    fault_reply reply = {.status = 200, .content_length = -1, .cut_at = -1};
    s->script(s->context, &request, &reply);
    write_reply(c, &reply, now_ms);
    rt_buf_free(&reply.body);
    free(head);
    free(body);
    c->in.n -= n_head + n_body;
    memmove(c->in.data, c->in.data + n_head + n_body, c->in.n + 1);
    pthread_mutex_lock(&s->mutex);
    count_waiting(s);
    pthread_mutex_unlock(&s->mutex);
}

static void read_some(connection *c)
{
    char bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        must(rt_buf_add(&c->in, bytes, (size_t)n, NULL));
    else
        hang_up(c);
}

static void write_some(connection *c, uint64_t now_ms)
{
    if (!c->answering || now_ms < c->next_ms) return;
    size_t n = c->out.n - c->n_sent;
    if (c->slow_bytes > 0) n = RT_MIN(n, c->slow_bytes);
    ssize_t n_done =
        n == 0 ? 0 : send(c->fd, c->out.data + c->n_sent, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n_done > 0) c->n_sent += (size_t)n_done;
    if (c->slow_bytes > 0) c->next_ms = now_ms + c->slow_ms;
    if (c->n_sent < c->out.n) return;
    c->answering = false;
    if (c->close_after) hang_up(c);
}

static void accept_one(fault_server *s)
{
    int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (s->connections[i].fd >= 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        s->connections[i].fd = fd;
        pthread_mutex_lock(&s->mutex);
        s->counts.n_connections++;
        pthread_mutex_unlock(&s->mutex);
        return;
    }
    close(fd);
}

static bool is_stopping(fault_server *s)
{
    pthread_mutex_lock(&s->mutex);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->mutex);
    return stopping;
}

static void *serve(void *context)
{
    fault_server *s = context;
    while (!is_stopping(s)) {
        struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = s->listener, .events = POLLIN}};
        connection *whose[CONNECTIONS_MAX + 1] = {NULL};
        nfds_t n = 1;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (s->connections[i].fd < 0) continue;
            fds[n] = (struct pollfd){.fd = s->connections[i].fd, .events = POLLIN};
            whose[n++] = &s->connections[i];
        }
        if (poll(fds, n, TICK_MS) < 0) continue;
        uint64_t now_ms = rt_clock_mono_ms();
        if ((fds[0].revents & POLLIN) != 0) accept_one(s);
        for (nfds_t i = 1; i < n; i++) {
            if (fds[i].revents != 0) read_some(whose[i]);
            if (whose[i]->fd >= 0) take_request(s, whose[i], now_ms);
            if (whose[i]->fd >= 0) write_some(whose[i], now_ms);
        }
    }
    return NULL;
}

fault_server *fault_server_start(fault_script script, void *context)
{
    fault_server *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_at = sizeof at;
    if (s == NULL) end_test("out of memory");
    s->script = script;
    s->context = context;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) s->connections[i].fd = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&at, n_at) != 0 ||
        listen(s->listener, CONNECTIONS_MAX) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &n_at) != 0)
        end_test("no socket");
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    pthread_mutex_init(&s->mutex, NULL);
    if (pthread_create(&s->thread, NULL, serve, s) != 0) end_test("no thread");
    return s;
}

void fault_server_stop(fault_server *s)
{
    if (s == NULL) return;
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) hang_up(&s->connections[i]);
    close(s->listener);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

const char *fault_server_url(const fault_server *s)
{
    return s->url;
}

fault_counts fault_server_counts(fault_server *s)
{
    pthread_mutex_lock(&s->mutex);
    fault_counts counts = s->counts;
    pthread_mutex_unlock(&s->mutex);
    return counts;
}
