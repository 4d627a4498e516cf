/* Speed of the queue: labelled records through Redis and back.
 *
 *     bench_queue url=unix:/tmp/redis.sock records=20000
 *
 * One line of JSON a record size: entries a second for adding, reading and acknowledging a hundred at a time, for
 * the whole way, and for adding one by one, which is the baseline of `batch_ratio`. bench/run.sh starts a
 * redis-server of its own for it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/queue/queue.h"

#define BATCH 100

typedef struct times {
    double add, read, ack, single;
} times;

static rt_status add_batch(queue *q, const char *stream, const rt_buf *items, times *t,
                           rt_error *err)
{
    double start = rt_clock_mono_s();
    rt_status st = queue_add_many(q, stream, items, BATCH, err);
    t->add += rt_clock_mono_s() - start;
    return st;
}

/* Everything that was added comes back once, and is acknowledged. */
static rt_status take_batch(queue *q, const char *stream, times *t, rt_error *err)
{
    queue_entry entries[BATCH];
    size_t n = 0;
    for (size_t n_left = BATCH; n_left > 0; n_left -= n) {
        double start = rt_clock_mono_s();
        rt_status st = queue_read(q, stream, "bench", false, n_left, 1000, entries, &n, err);
        t->read += rt_clock_mono_s() - start;
        if (st != RT_OK) return st;
        if (n == 0) return rt_fail(err, RT_TIMEOUT, "%zu entries did not come back", n_left);
        start = rt_clock_mono_s();
        st = queue_ack(q, stream, entries, n, err);
        t->ack += rt_clock_mono_s() - start;
        queue_entries_free(entries, n);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static rt_status add_singly(queue *q, const char *stream, const rt_buf *item, times *t,
                            rt_error *err)
{
    rt_status st = RT_OK;
    double start = rt_clock_mono_s();
    for (size_t i = 0; st == RT_OK && i < BATCH; i++)
        st = queue_add(q, stream, item->data, item->n, 0, err);
    t->single += rt_clock_mono_s() - start;
    return st;
}

static rt_status measure(queue *q, size_t n_bytes, uint64_t n_records, rt_error *err)
{
    queue_names names;
    queue_names_of("bench", &names);
    rt_buf items[BATCH] = {0};
    times t = {0}, aside = {0};
    uint64_t n_batches = (n_records + BATCH - 1) / BATCH;
    rt_status st = queue_ensure(q, names.labels, NULL, err);
    for (size_t i = 0; st == RT_OK && i < BATCH; i++)
        for (size_t k = 0; st == RT_OK && k < n_bytes; k++)
            st = rt_buf_add_text(&items[i], "r", err);
    for (uint64_t i = 0; st == RT_OK && i < n_batches; i++) {
        st = add_batch(q, names.labels, items, &t, err);
        if (st == RT_OK) st = take_batch(q, names.labels, &t, err);
        if (st == RT_OK) st = add_singly(q, names.labels, &items[0], &t, err);
        if (st == RT_OK) st = take_batch(q, names.labels, &aside, err);
    }
    double n = (double)(n_batches * BATCH);
    if (st == RT_OK)
        printf(
            "{\"bench\":\"queue\",\"bytes\":%zu,\"records\":%.0f,\"add_s\":%.0f,\"read_s\":%.0f,\"ack_s\":%.0f,"
            "\"records_s\":%.0f,\"add_singly_s\":%.0f,\"batch_ratio\":%.2f}\n",
            n_bytes, n, n / t.add, n / t.read, n / t.ack, n / (t.add + t.read + t.ack),
            n / t.single, t.single / t.add);
    for (size_t i = 0; i < BATCH; i++) rt_buf_free(&items[i]);
    rt_status dropped = queue_drop(q, names.labels, st == RT_OK ? err : NULL);
    return st == RT_OK ? dropped : st;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {300, 3000};
    const char *url = NULL;
    uint64_t records = 20000;
    queue *q = NULL;
    rt_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "url=", 4) == 0) {
            url = argv[i] + 4;
            continue;
        }
        if (strncmp(argv[i], "records=", 8) == 0 && rt_parse_u64(argv[i] + 8, &records) &&
            records > 0)
            continue;
        fprintf(stderr, "%s: expected url=REDIS or records=N\n", argv[i]);
        return 2;
    }
    if (url == NULL) {
        fprintf(
            stderr,
            "url=unix:PATH or url=redis://HOST:PORT is missing: bench/run.sh starts a server\n");
        return 2;
    }
    rt_status st = queue_open_redis(url, "", &q, &err);
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(sizes); i++)
        st = measure(q, sizes[i], records, &err);
    queue_close(q);
    if (st == RT_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
