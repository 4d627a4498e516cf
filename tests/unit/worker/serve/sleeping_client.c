#include "tests/unit/worker/serve/sleeping_client.h"

static void fall_asleep(void *context)
{
    sleeping_client *c = context;
    pthread_mutex_lock(&c->mutex);
    c->asleep = true;
    pthread_mutex_unlock(&c->mutex);
}

static void wake_up(void *context)
{
    sleeping_client *c = context;
    pthread_mutex_lock(&c->mutex);
    c->asleep = false;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

job_waiter sleeping_client_waiter(sleeping_client *c)
{
    *c = (sleeping_client){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    return (job_waiter){.sleep = fall_asleep, .wake = wake_up, .context = c};
}

void sleeping_client_wait(sleeping_client *c)
{
    pthread_mutex_lock(&c->mutex);
    while (c->asleep) pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

bool sleeping_client_is_gone(void *client)
{
    return ((sleeping_client *)client)->gone;
}
