#include "cli/launch/local.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fs.h"

rt_status local_free_port(unsigned *out, rt_error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return rt_fail(err, RT_IO, "socket: %s", strerror(errno));
    rt_status st = RT_OK;
    if (bind(fd, (struct sockaddr *)&address, n) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        st = rt_fail(err, RT_IO, "find a free port on 127.0.0.1: %s", strerror(errno));
    close(fd);
    if (st == RT_OK) *out = ntohs(address.sin_port);
    return st;
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
