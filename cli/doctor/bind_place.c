#include "cli/doctor/bind_place.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NO_SUCH_HOST (-1)

/* HOST:PORT, [HOST]:PORT, *:PORT. False for a port that any free one may be. */
static bool read_host_port(const char *text, bind_place *out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !rt_parse_u64(colon + 1, &port) || port == 0 || port > 65535) return false;
    size_t n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= sizeof out->host) return false;
    memcpy(out->host, text, n);
    out->host[n] = '\0';
    if (strcmp(out->host, "*") == 0) snprintf(out->host, sizeof out->host, "0.0.0.0");
    snprintf(out->port, sizeof out->port, "%u", (unsigned)port);
    return true;
}

static void add(bind_place *out, size_t *n, const char *path, const char *text, uint64_t n_binders)
{
    bind_place p = {.path = path, .text = text, .n_binders = n_binders};
    bool varies = strstr(text, "{shard}") != NULL; /* one path for each shard */
    if (text[0] == '\0' || varies || n_binders == 0) return;
    p.is_ipc = strncmp(text, "ipc://", 6) == 0;
    if (p.is_ipc)
        p.file = text + 6;
    else if (!read_host_port(strncmp(text, "tcp://", 6) == 0 ? text + 6 : text, &p))
        return;
    out[(*n)++] = p;
}

size_t bind_places_of(const config *c, bind_place out[BIND_PLACES_MAX])
{
    size_t n = 0;
    const char *coordinator =
        c->net.coordinator_bind[0] != '\0' ? c->net.coordinator_bind : c->net.coordinator;
    add(out, &n, c->net.coordinator_bind[0] != '\0' ? "net.coordinator_bind" : "net.coordinator",
        coordinator, 1);
    if (strcmp(c->net.http, "off") != 0) add(out, &n, "net.http", c->net.http, 1);
    add(out, &n, "net.server_bind", c->net.server_bind, c->launch.servers);
    return n;
}

/* A path of a process that is gone may stay; only one that answers is taken. */
static int try_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int problem = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? EADDRINUSE : 0;
    close(fd);
    return problem;
}

int bind_place_try(const bind_place *p)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    int problem = 0, one = 1;
    if (p->is_ipc) return try_path(p->file);
    if (getaddrinfo(p->host, p->port, &hints, &all) != 0) return NO_SUCH_HOST;
    int fd = socket(all->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        problem = errno;
    } else {
        /* As those who will listen do it: connections that just ended are in nobody's way. */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, all->ai_addr, all->ai_addrlen) != 0 || listen(fd, 1) != 0) problem = errno;
        close(fd);
    }
    freeaddrinfo(all);
    return problem;
}

finding bind_verdict(const bind_place *p, int problem)
{
    finding f;
    if (problem == 0 && p->n_binders > 1) {
        f = finding_fail(RT_INVALID, "%s: %s is one address for %" PRIu64 " processes", p->path,
                         p->text, p->n_binders);
        finding_expect(&f, "an address for each");
        finding_fix(&f,
                    "write the port as *, or {shard} into the path, or set launch.servers to 1");
        return f;
    }
    if (problem == 0) {
        f = finding_ok("%s: %s is free", p->path, p->text);
        finding_expect(&f, "an address that nobody listens at");
        return f;
    }
    if (problem == EADDRNOTAVAIL || problem == NO_SUCH_HOST) {
        f = finding_warn("%s: %s is %s", p->path, p->text,
                         problem == NO_SUCH_HOST ? "a name that is not known here"
                                                 : "no address of this machine");
        finding_expect(&f, "an address of this machine, where its process is to run here");
        finding_fix(&f, "right when that process runs elsewhere; else correct it");
        return f;
    }
    if (problem == EADDRINUSE)
        f = finding_fail(RT_IO, "%s: somebody listens at %s", p->path, p->text);
    else
        f = finding_fail(RT_IO, "%s: %s cannot be bound: %s", p->path, p->text, strerror(problem));
    finding_expect(&f, "an address that nobody listens at");
    finding_fix(&f, problem == EADDRINUSE ? "stop whoever does (ss -ltnp names them), or leave the "
                                            "setting empty: then the launcher chooses"
                                          : "correct it, or leave it empty: then the launcher "
                                            "chooses");
    return f;
}
