#include "coordinator/http/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/http_server/event_stream.h"

#define SOCKET_BYTES (128 << 10) /* what the system may hold of a stream */

typedef struct stream {
    streams *all;
    struct MHD_Connection *connection;
    bool used, asleep;   /* guarded by the mutex of all */
    uint64_t generation; /* of the keys, when it was let in */
    picture_place place;
    rt_buf out; /* being sent, up to n_sent */
    size_t n_sent;
} stream;

struct streams {
    pictures *pictures;
    api_gate *gate;
    pthread_mutex_t mutex; /* guards ending, and each stream's used and asleep */
    bool ending;
    stream each[STREAMS_MAX];
};

rt_status streams_new(pictures *p, api_gate *gate, streams **out, rt_error *err)
{
    streams *all = rt_calloc(1, sizeof *all);
    if (all == NULL) return rt_fail(err, RT_NOMEM, "streams");
    all->pictures = p;
    all->gate = gate;
    pthread_mutex_init(&all->mutex, NULL);
    *out = all;
    return RT_OK;
}

void streams_free(streams *all)
{
    if (all == NULL) return;
    pthread_mutex_destroy(&all->mutex);
    free(all);
}

static void wake(streams *all, bool ending)
{
    pthread_mutex_lock(&all->mutex);
    all->ending = all->ending || ending;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        stream *s = &all->each[i];
        if (!s->used || !s->asleep) continue;
        s->asleep = false;
        MHD_resume_connection(s->connection);
    }
    pthread_mutex_unlock(&all->mutex);
}

void streams_wake(streams *all)
{
    wake(all, false);
}

void streams_end(streams *all)
{
    wake(all, true);
}

size_t streams_n(streams *all)
{
    size_t n = 0;
    pthread_mutex_lock(&all->mutex);
    for (size_t i = 0; i < STREAMS_MAX; i++) n += all->each[i].used;
    pthread_mutex_unlock(&all->mutex);
    return n;
}

static uint64_t generation_of(const streams *all)
{
    return all->gate == NULL ? 0 : api_gate_generation(all->gate);
}

/* Nothing is there to be sent. False: the stream ends. */
static bool sleep_until_woken(stream *s)
{
    streams *all = s->all;
    pthread_mutex_lock(&all->mutex);
    bool sleeps = !all->ending;
    if (sleeps) {
        s->asleep = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&all->mutex);
    return sleeps;
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t n_max)
{
    stream *s = context;
    (void)position;
    if (s->n_sent == s->out.n) {
        rt_buf_clear(&s->out);
        s->n_sent = 0;
        if (generation_of(s->all) != s->generation) return MHD_CONTENT_READER_END_OF_STREAM;
        if (pictures_next(s->all->pictures, &s->place, rt_clock_mono_ms(), &s->out, NULL) != RT_OK)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (s->out.n == 0) return sleep_until_woken(s) ? 0 : MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t n = RT_MIN(n_max, s->out.n - s->n_sent);
    memcpy(out, s->out.data + s->n_sent, n);
    s->n_sent += n;
    return (ssize_t)n;
}

static void leave(void *context)
{
    stream *s = context;
    rt_buf_free(&s->out);
    pthread_mutex_lock(&s->all->mutex);
    s->used = s->asleep = false;
    pthread_mutex_unlock(&s->all->mutex);
}

static stream *take_place(streams *all)
{
    stream *found = NULL;
    pthread_mutex_lock(&all->mutex);
    for (size_t i = 0; i < STREAMS_MAX && found == NULL && !all->ending; i++)
        if (!all->each[i].used) found = &all->each[i];
    if (found != NULL) *found = (stream){.all = all, .used = true};
    pthread_mutex_unlock(&all->mutex);
    return found;
}

/* A reader that takes nothing is noticed when the system holds no more for it. */
static void bound_socket(struct MHD_Connection *connection)
{
    int n = SOCKET_BYTES;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof n);
}

struct MHD_Response *streams_response(streams *all, struct MHD_Connection *connection)
{
    stream *s = take_place(all);
    if (s == NULL) return NULL;
    s->connection = connection;
    s->generation = generation_of(all);
    pictures_place_now(all->pictures, &s->place);
    struct MHD_Response *response = event_stream_response(read_stream, s, leave);
    if (response == NULL) {
        leave(s);
        return NULL;
    }
    bound_socket(connection);
    return response;
}
