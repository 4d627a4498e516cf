/* What a Redis says about itself, for whoever checks it before a run.
 *
 *     queue_server_info info;
 *     if ((st = queue_probe_redis(url, &login, &info, err)) != RT_OK) goto out;
 *     printf("Redis %s, maxmemory %llu\n", info.version, (unsigned long long)info.maxmemory);
 */
#ifndef RT_QUEUE_SERVER_INFO_H
#define RT_QUEUE_SERVER_INFO_H

#include "common/queue/login.h"

/* "" and 0 where it does not tell. */
typedef struct queue_server_info {
    char version[32];
    char policy[32];                 /* maxmemory-policy */
    char role[16];                   /* "master", "slave" */
    uint64_t maxmemory, used_memory; /* bytes; maxmemory 0: no limit */
} queue_server_info;

/* Connects as queue_open_redis() does, with its failures (RT_UNSUPPORTED for a server older than 6.2),
 * asks PING and INFO, and leaves. Nothing is written there. */
RT_MUST_USE rt_status queue_probe_redis(const char *url, const queue_login *login,
                                        queue_server_info *out, rt_error *err);

/* From the text of INFO. Pure, safe for any text. */
queue_server_info queue_server_info_read(const char *info);
/* The text behind "name:" at the beginning of a line, cut to out[0..n_out); false: no such line. */
bool queue_info_value(const char *info, const char *name, char *out, size_t n_out);

#endif
