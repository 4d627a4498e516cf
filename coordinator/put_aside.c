/* Which entries lie in the stream `dead`, in words: for the log, and for what people see as the problem. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/wire/messages.h"
#include "common/wire/seal.h"
#include "coordinator/shell.h"

#define NAMED_MAX 8 /* of those that came since the last look */

/* Of the records of a micro-batch, each once; a student's tasks may share one. */
static rt_status list_records(const micro_batch *b, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < b->n_seqs && st == RT_OK; i++) {
        char hex[RT_ID_HEX_SIZE];
        size_t j = 0;
        while (!rt_id_equal(b->seqs[j].record_id, b->seqs[i].record_id)) j++;
        if (j < i) continue;
        rt_id_to_hex(b->seqs[i].record_id, hex);
        st = rt_buf_printf(out, err, "%s%s", i > 0 ? "," : "", hex);
    }
    return st;
}

static void name_entry(const queue_entry *e, char *out, size_t n_out)
{
    rt_error why = {0};
    rt_buf records = {0};
    micro_batch b = {0};
    size_t n = e->n_bytes;
    rt_status st = wire_unseal(e->bytes, &n, &why);
    if (st == RT_OK) st = wire_decode_micro_batch(e->bytes, n, &b, &why);
    if (st == RT_OK) st = list_records(&b, &records, &why);
    if (st == RT_OK)
        snprintf(out, n_out, "%s %" PRIu64 ", micro-batch %" PRIu32 " of %" PRIu32,
                 b.kind == MICRO_BATCH_EVALUATE ? "evaluation of version" : "step", b.step,
                 b.index + 1, b.n_micro_batches);
    else
        snprintf(out, n_out, "no micro-batch (%.80s)", why.text);
    rt_log_error("queue.put_aside", "entry=%s what=\"%s\" deliveries=%" PRIu32 " records=%s", e->id,
                 out, e->attempts, records.n > 0 ? records.data : "");
    micro_batch_free(&b);
    rt_buf_free(&records);
}

rt_status put_aside_look(coordinator *co, queue *q, uint64_t n_dead, rt_error *err)
{
    queue_entry entries[NAMED_MAX];
    size_t n = 0;
    uint64_t n_new = n_dead > co->n_dead_in_stream ? n_dead - co->n_dead_in_stream : 0;
    rt_status st = queue_newest(q, queue_link_names(co->link)->dead, RT_MIN(n_new, NAMED_MAX),
                                entries, &n, err);
    if (st != RT_OK) return st;
    for (size_t i = n; i > 0; i--) name_entry(&entries[i - 1], co->put_aside, sizeof co->put_aside);
    queue_entries_free(entries, n);
    co->n_dead_in_stream = n_dead;
    return RT_OK;
}
