/* TLS of one connection to Redis. Inside common/queue. */
#ifndef RT_QUEUE_REDIS_TLS_H
#define RT_QUEUE_REDIS_TLS_H

#include <hiredis/hiredis.h>

#include "common/queue/login.h"

/* Shake hands on a fresh connection. The certificate must be for `host` and signed by one of the
 * authorities. RT_INVALID for files that cannot be used, RT_REFUSED for a certificate that does not
 * fit, RT_UNAVAILABLE when the other side does not speak TLS, RT_UNSUPPORTED without hiredis' TLS.
 * `name` is for messages. */
RT_MUST_USE rt_status redis_tls_start(redisContext *c, const queue_login *login, const char *host,
                                      const char *name, rt_error *err);

#endif
