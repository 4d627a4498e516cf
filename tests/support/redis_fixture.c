#include "tests/support/redis_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"

#define START_MS 10000

static void fail(const redis_fixture *f, const char *what)
{
    fprintf(stderr, "redis fixture in %s: %s\n", f->folder, what);
    abort();
}

static void run_server(const redis_fixture *f)
{
    int log = open("/dev/null", O_WRONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (log >= 0) dup2(log, STDOUT_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", f->socket, "--dir",
           f->folder, "--save", "", "--appendonly", "no", "--requirepass", f->password,
           (char *)NULL);
    fprintf(stderr, "redis-server: not found; install it (./dev setup)\n");
    _exit(127);
}

static redisContext *connect_to(const redis_fixture *f)
{
    redisContext *c = redisConnectUnix(f->socket);
    if (c != NULL && c->err == 0 && *f->password != '\0')
        freeReplyObject(redisCommand(c, "AUTH %s", f->password));
    if (c != NULL && c->err == 0) return c;
    if (c != NULL) redisFree(c);
    return NULL;
}

void redis_fixture_again(redis_fixture *f)
{
    signal(SIGPIPE, SIG_IGN); /* as rt_stop_install() does in every real process */
    unlink(f->socket);
    f->pid = fork();
    if (f->pid == 0) run_server(f);
    for (uint64_t end = rt_clock_mono_ms() + START_MS; rt_clock_mono_ms() < end; rt_sleep_ms(5)) {
        redisContext *c = connect_to(f);
        if (c == NULL) {
            if (waitpid(f->pid, NULL, WNOHANG) == f->pid) fail(f, "redis-server ended");
            continue;
        }
        redisFree(c);
        return;
    }
    fail(f, "redis-server does not answer");
}

void redis_fixture_start(redis_fixture *f, const char *password)
{
    *f = (redis_fixture){0};
    strcpy(f->folder, "/tmp/retort-redis-XXXXXX");
    if (mkdtemp(f->folder) == NULL) fail(f, "no folder");
    snprintf(f->socket, sizeof f->socket, "%s/s", f->folder);
    snprintf(f->url, sizeof f->url, "unix:%s", f->socket);
    snprintf(f->password, sizeof f->password, "%s", password);
    redis_fixture_again(f);
}

void redis_fixture_kill(redis_fixture *f)
{
    if (f->pid <= 0) return;
    kill(f->pid, SIGKILL);
    while (waitpid(f->pid, NULL, 0) != f->pid) continue;
    f->pid = 0;
}

void redis_fixture_stop(redis_fixture *f)
{
    redis_fixture_kill(f);
    if (rt_fs_remove_tree(f->folder, NULL) != RT_OK) fail(f, "folder cannot be removed");
}

redisReply *redis_fixture_command(const redis_fixture *f, const char *format, ...)
{
    va_list args;
    redisContext *c = connect_to(f);
    if (c == NULL) fail(f, "no connection");
    va_start(args, format);
    redisReply *reply = redisvCommand(c, format, args);
    va_end(args);
    if (reply == NULL) fail(f, c->errstr);
    redisFree(c);
    return reply;
}
