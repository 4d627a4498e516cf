/* Waiting on several endpoints: in slices, so that clients can heal while they wait. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/stop.h"
#include "common/net/transport.h"

#define SLICE_MS 200

static bool mark_ready(net_poll_item *items, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        items[i].ready = items[i].server != NULL ? net_server_ready(items[i].server)
                                                 : net_client_ready(items[i].client);
        any = any || items[i].ready;
    }
    return any;
}

/* Whether something came while it spun. */
static bool spin(net_poll_item *items, size_t n, uint64_t spin_us)
{
    if (mark_ready(items, n)) return true;
    if (spin_us == 0) return false;
    for (double until_s = rt_clock_mono_s() + (double)spin_us / 1e6; rt_clock_mono_s() < until_s;) {
        if (rt_stop_requested() != RT_STOP_NONE) return false;
        sched_yield();
        if (mark_ready(items, n)) return true;
    }
    return false;
}

rt_status net_poll(net_poll_item *items, size_t n, uint64_t spin_us, uint64_t timeout_ms,
                   rt_error *err)
{
    if (spin(items, n, timeout_ms > spin_us / 1000 ? spin_us : timeout_ms * 1000)) return RT_OK;
    rt_status st = RT_OK;
    uint64_t deadline_ms = net_deadline(timeout_ms);
    zmq_pollitem_t *polled = rt_calloc(n, sizeof *polled);
    if (polled == NULL) return rt_fail(err, RT_NOMEM, "poll of %zu endpoints", n);
    while (!mark_ready(items, n)) {
        uint64_t now = rt_clock_mono_ms();
        if (now >= deadline_ms) {
            st = rt_fail(err, RT_TIMEOUT, "nothing came within the time given");
            break;
        }
        for (size_t i = 0; i < n; i++) { /* each time: a healed client has another socket */
            void *zmq = items[i].server != NULL ? net_server_zmq(items[i].server)
                                                : net_client_zmq(items[i].client);
            polled[i] = (zmq_pollitem_t){.socket = zmq, .events = ZMQ_POLLIN};
        }
        int n_ready = zmq_poll(polled, (int)n, (long)RT_MIN(deadline_ms - now, SLICE_MS));
        if (n_ready < 0 && errno == EINTR && rt_stop_requested() != RT_STOP_NONE) {
            st = rt_fail(err, RT_CANCELLED, "stopped by a signal");
            break;
        }
    }
    free(polled);
    return st;
}
