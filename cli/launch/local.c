#include "cli/launch/local.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fs.h"

#define PORT_FIRST 10240
#define PORTS_MIN  1024 /* to choose from */
#define PORT_TRIES 64

/* 0: the kernel chooses. */
static bool port_is_free(unsigned port, unsigned *found)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &n) == 0;
    int why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    if (ok) *found = ntohs(address.sin_port);
    return ok;
}

/* Where the kernel begins to choose ports for everybody's connections. */
static unsigned kernel_ports_begin(void)
{
    unsigned low = 0;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (f == NULL) return 0;
    if (fscanf(f, "%u", &low) != 1) low = 0;
    fclose(f);
    return low;
}

/* Below the kernel's range: from there no connection of another process takes the port between this
 * look and the coordinator's bind, nor while a coordinator that died is started again. */
rt_status local_free_port(unsigned *out, rt_error *err)
{
    unsigned end = kernel_ports_begin(), draw;
    for (int i = 0; end >= PORT_FIRST + PORTS_MIN && i < PORT_TRIES; i++) {
        if (getrandom(&draw, sizeof draw, 0) != (ssize_t)sizeof draw) break;
        if (port_is_free(PORT_FIRST + draw % (end - PORT_FIRST), out)) return RT_OK;
    }
    if (port_is_free(0, out)) return RT_OK;
    return rt_fail(err, RT_IO, "find a free port on 127.0.0.1: %s", strerror(errno));
}

rt_status local_redis_place(const char *run_dir, local_redis *out, rt_error *err)
{
    local_redis r = {0};
    char whole[PATH_MAX];
    if (realpath(run_dir, whole) == NULL)
        return rt_fail(err, RT_IO, "run directory %s: %s", run_dir, strerror(errno));
    rt_status st = rt_fs_join(r.log_path, sizeof r.log_path, whole, "logs/redis.log", err);
    if (st != RT_OK) return st;
    if (rt_fs_join(r.socket, sizeof r.socket, whole, "redis.sock", NULL) != RT_OK) {
        snprintf(r.folder, sizeof r.folder, "/tmp/retort-XXXXXX");
        if (mkdtemp(r.folder) == NULL)
            return rt_fail(err, RT_IO, "make a folder for the Redis socket: %s", strerror(errno));
        st = rt_fs_join(r.socket, sizeof r.socket, r.folder, "redis.sock", err);
    }
    if (st == RT_OK) *out = r;
    return st;
}

rt_status local_redis_start(const local_redis *redis, pid_t *out, rt_error *err)
{
    unlink(redis->socket);
    char *argv[] = {"redis-server",
                    "--port",
                    "0",
                    "--unixsocket",
                    (char *)redis->socket,
                    "--unixsocketperm",
                    "700",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--maxmemory-policy",
                    "noeviction",
                    "--daemonize",
                    "no",
                    "--loglevel",
                    "warning",
                    NULL};
    process_spec spec = {.argv = argv, .log_path = redis->log_path};
    rt_status st = process_start(&spec, out, err);
    if (st == RT_NOTFOUND)
        return rt_fail(err, RT_UNAVAILABLE,
                       "redis-server is not installed; install it, or set queue.url to a running "
                       "Redis");
    return st;
}

void local_redis_clean(const local_redis *redis)
{
    unlink(redis->socket);
    if (redis->folder[0] != '\0') rmdir(redis->folder);
}
