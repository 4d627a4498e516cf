/* One connection to Redis: made when needed, thrown away after any failure. Inside common/queue.
 *
 * hiredis 0.14: after a timeout a context is dead, and redisReconnect() would forget the command
 * timeout and the password, so a context is never mended: free, connect, authenticate, set the
 * timeout, and only then repeat the command. A repeat may happen twice on the server; every command
 * here bears that, because ids of the content make repeats harmless. */
#ifndef RT_QUEUE_REDIS_LINK_H
#define RT_QUEUE_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "common/queue/login.h"

typedef struct redis_link redis_link;

/* Does not connect yet. RT_INVALID for a URL of another form, or for a host beyond loopback
 * without a password; RT_UNSUPPORTED for rediss:// without TLS. */
RT_MUST_USE rt_status redis_link_new(const char *url, const queue_login *login, redis_link **out,
                                     rt_error *err);
void redis_link_free(redis_link *l);
/* Connect now; fine when connected. RT_UNAVAILABLE, RT_REFUSED (user or password, certificate) or
 * RT_UNSUPPORTED (version). A link that was connected once takes every failure for RT_UNAVAILABLE:
 * what was right before will be put right again. */
RT_MUST_USE rt_status redis_link_connect(redis_link *l, rt_error *err);
/* Connections made so far: a reader learns that replies may have been lost. */
uint64_t redis_link_connects(const redis_link *l);

/* A command as parts; binary-safe. */
#define REDIS_PARTS_MAX 112
typedef struct redis_command {
    const char *parts[REDIS_PARTS_MAX];
    size_t n_bytes[REDIS_PARTS_MAX];
    size_t n;
} redis_command;
void redis_command_add(redis_command *c, const void *bytes, size_t n_bytes);
void redis_command_add_text(redis_command *c, const char *text);
/* The number's text lives in `text`. */
void redis_command_add_u64(redis_command *c, char text[24], uint64_t value);

/* Run one command, once more over a new connection when this one fails. block_ms: how long the
 * server may take on purpose. *out is freed with freeReplyObject(). Error replies become statuses:
 * RT_NOTFOUND (no such stream or group), RT_FULL (out of memory), RT_REFUSED, RT_UNAVAILABLE
 * (loading, disk full, ...), RT_INVALID. */
RT_MUST_USE rt_status redis_link_run(redis_link *l, const redis_command *c, uint64_t block_ms,
                                     redisReply **out, rt_error *err);
/* Send all, then read all replies; the first bad reply decides. A nil reply is RT_NOTFOUND. */
RT_MUST_USE rt_status redis_link_run_many(redis_link *l, const redis_command *commands, size_t n,
                                          rt_error *err);

#endif
