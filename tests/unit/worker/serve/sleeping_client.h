/* A client of the engine that waits as a connection does: asleep until it is woken. */
#ifndef RT_TESTS_UNIT_WORKER_SERVE_SLEEPING_CLIENT_H
#define RT_TESTS_UNIT_WORKER_SERVE_SLEEPING_CLIENT_H

#include <pthread.h>

#include "worker/serve/engine.h"

typedef struct sleeping_client {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool asleep, gone;
} sleeping_client;

/* Makes *c new, and says how the engine reaches it. */
job_waiter sleeping_client_waiter(sleeping_client *c);
/* Returns once it is awake. */
void sleeping_client_wait(sleeping_client *c);
/* For engine_sweep(). */
bool sleeping_client_is_gone(void *client);

#endif
