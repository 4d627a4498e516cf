/* A redis-server of one's own: a temporary folder, a unix socket, no TCP port, no persistence.
 *
 *     redis_fixture f;
 *     redis_fixture_start(&f, "");
 *     queue_open_redis(f.url, "", &q, err);
 *     redis_fixture_kill(&f);      // kill -9
 *     redis_fixture_again(&f);     // an empty one at the same place
 *     redis_fixture_stop(&f);
 *
 * The functions assert: without redis-server the test fails, it never skips. The server dies with
 * the test that started it. */
#ifndef RT_TESTS_REDIS_FIXTURE_H
#define RT_TESTS_REDIS_FIXTURE_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

typedef struct redis_fixture {
    char folder[64];
    char socket[96];
    char url[112]; /* "unix:..." */
    char password[64];
    pid_t pid;
} redis_fixture;

/* `password` "" for none. */
void redis_fixture_start(redis_fixture *f, const char *password);
void redis_fixture_kill(redis_fixture *f);
void redis_fixture_again(redis_fixture *f);
void redis_fixture_stop(redis_fixture *f);
/* One command over a connection of its own; an error reply is returned as such. Freed with
 * freeReplyObject(). */
redisReply *redis_fixture_command(const redis_fixture *f, const char *format, ...);

#endif
