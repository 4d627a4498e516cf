/* How one says to Redis who one is: a user, a password that is read anew for each connection, TLS.
 *
 *     queue_login login = {.user = "retort", .read_password = config_queue_password, .context = c};
 *     st = queue_open_redis_as("rediss://redis:6379", &login, &q, err);
 *
 * The password is asked for when a connection is made and wiped after, so one that was changed at the
 * server and in its file is found by the next connection. TLS needs a hiredis that was built with it
 * (queue_has_tls()); the server's certificate must be for the host of the URL.
 */
#ifndef RT_QUEUE_LOGIN_H
#define RT_QUEUE_LOGIN_H

#include "common/base/bytes.h"

/* All texts are copied by what opens a connection; `context` is kept until it is closed. NULL is as
 * "". */
typedef struct queue_login {
    const char *user;     /* of Redis' ACL; "" = its default user */
    const char *password; /* or read_password, which counts when it is not NULL */
    rt_status (*read_password)(const void *context, rt_buf *out, rt_error *err);
    const void *context;
    const char *ca_file;              /* PEM; "" = the system's authorities */
    const char *cert_file, *key_file; /* PEM of our own certificate; "" = none */
} queue_login;

/* Whether rediss:// can be spoken. */
bool queue_has_tls(void);

#endif
