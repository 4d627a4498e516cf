/* `retort serve`: a model behind HTTP, as the OpenAI interface has it.
 *
 *     server *s = NULL;
 *     if ((st = server_open(&settings, &s, err)) != RT_OK) goto out;
 *     printf("%s\n", server_address(s));
 *     server_run(s);                       // until a signal asks to stop and all is answered
 *     server_close(s);
 *
 * Threads: libmicrohttpd's reads requests and sends answers (http.c), the engine's decodes
 * (engine.c), and the caller's, in server_run(), waits for a signal and looks after clients that went
 * away.
 */
#ifndef RT_WORKER_SERVE_SERVER_H
#define RT_WORKER_SERVE_SERVER_H

#include "common/base/bytes.h"

#define SERVER_CONNECTIONS_MAX 900 /* below the usual limit of 1,024 open files */

typedef struct server_settings {
    const char *model;    /* folder */
    const char *name;     /* as requests call it; NULL: the folder's */
    const char *bind;     /* numeric address */
    const char *key_file; /* NULL: no keys; only on loopback */
    uint64_t port;        /* 0: any free one */
    bool halves;          /* decoding keeps bfloat16 */
    uint64_t n_slots, n_waiting_max, n_tokens_max, n_body_bytes_max, n_threads, timeout_ms;
} server_settings;

typedef struct server server;

/* Keeps no string. RT_INVALID for a wrong address or one beyond loopback without keys, RT_EXISTS for
 * a port in use. Returns new, already answering; server_close(). */
RT_MUST_USE rt_status server_open(const server_settings *how, server **out, rt_error *err);
void server_close(server *s);
/* "http://127.0.0.1:41000", as bound. */
const char *server_address(const server *s);
const char *server_model(const server *s);
/* Until rt_stop_requested(): then what was taken is finished and new requests are refused; a second
 * request ends all. */
void server_run(server *s);

#endif
