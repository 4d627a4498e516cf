#include "worker/teacher/publish.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/wire/seal.h"

#define PUBLISH_AT_ONCE 64  /* entries of one pipelined call */
#define WAIT_MS         200 /* between looks at a full or absent stream */
#define LOG_EVERY_MS    10000

/* What publishing remembers while it waits. */
typedef struct patience {
    uint64_t grace_ms;
    uint64_t stop_seen_ms; /* 0: nobody asked us to stop */
    uint64_t logged_ms;
} patience;

static rt_status wait_once(runtime *rt, patience *p, const char *why, rt_error *err)
{
    uint64_t now_ms = rt_clock_mono_ms();
    if (p->logged_ms == 0 || now_ms - p->logged_ms >= LOG_EVERY_MS) {
        rt_log_warn("teacher.publish_waits", "%s", why);
        p->logged_ms = now_ms;
    }
    if (runtime_stopping(rt)) {
        if (p->stop_seen_ms == 0) p->stop_seen_ms = now_ms;
        if (rt_stop_requested() == RT_STOP_NOW || now_ms - p->stop_seen_ms >= p->grace_ms)
            return rt_fail(err, RT_CANCELLED, "stopped before the records were published: %s", why);
        rt_sleep_ms(WAIT_MS); /* runtime_wait() returns at once when stopping */
    } else {
        runtime_wait(rt, WAIT_MS);
    }
    return RT_OK;
}

/* Until the stream has room for `n` more. */
static rt_status wait_for_room(runtime *rt, queue *q, const char *stream, size_t n, patience *p,
                               rt_error *err)
{
    uint64_t n_max = runtime_config(rt)->queue.labels_max;
    for (;;) {
        rt_error why = {0};
        uint64_t length = 0;
        rt_status st = queue_length(q, stream, &length, &why);
        if (st == RT_OK && length + n <= n_max) return RT_OK;
        if (st == RT_OK) {
            runtime_count(rt, "publish_waits", 1);
            rt_fail(&why, RT_FULL, "stream %s holds %zu records, queue.labels_max is %zu", stream,
                    (size_t)length, (size_t)n_max);
        } else if (st != RT_UNAVAILABLE && st != RT_NOTFOUND && st != RT_TIMEOUT) {
            return rt_fail(err, st, "%s", why.text);
        }
        if ((st = wait_once(rt, p, why.text, err)) != RT_OK) return st;
    }
}

static rt_status add_all(runtime *rt, queue *q, const char *stream, const rt_buf *items, size_t n,
                         patience *p, rt_error *err)
{
    for (;;) {
        rt_error why = {0};
        rt_status st = wait_for_room(rt, q, stream, n, p, err);
        if (st != RT_OK) return st;
        st = queue_add_many(q, stream, items, n, &why);
        if (st == RT_OK) return RT_OK;
        if (st != RT_UNAVAILABLE && st != RT_NOTFOUND && st != RT_TIMEOUT)
            return rt_fail(err, st, "%s", why.text);
        if ((st = wait_once(rt, p, why.text, err)) != RT_OK) return st;
    }
}

rt_status publish_records(runtime *rt, queue *q, const char *stream, const label_record *records,
                          size_t n, uint64_t grace_ms, rt_error *err)
{
    rt_status st = RT_OK;
    patience p = {.grace_ms = grace_ms};
    rt_buf items[PUBLISH_AT_ONCE] = {{0}};
    size_t n_items = 0;
    size_t n_at_once = RT_MIN(PUBLISH_AT_ONCE, runtime_config(rt)->queue.labels_max);
    for (size_t i = 0; i < n; i++) {
        if (records[i].label == NULL && records[i].reason == NULL) continue;
        rt_buf_clear(&items[n_items]);
        if ((st = wire_encode_label(&records[i], &items[n_items], err)) != RT_OK) goto out;
        if ((st = wire_seal(&items[n_items], err)) != RT_OK) goto out;
        if (++n_items < n_at_once) continue;
        if ((st = add_all(rt, q, stream, items, n_items, &p, err)) != RT_OK) goto out;
        n_items = 0;
        fault_point("teacher.between_publishes");
    }
    if (n_items > 0) st = add_all(rt, q, stream, items, n_items, &p, err);
out:
    for (size_t i = 0; i < PUBLISH_AT_ONCE; i++) rt_buf_free(&items[i]);
    return st;
}
