#include "coordinator/archive_stage.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/wire/messages.h"
#include "common/wire/seal.h"

#define CONSUMER      "coordinator"
#define DISK_RETRY_MS 1000

void archive_stage_begin(archive_stage *s)
{
    const rt_id *ids = corpus_source_ids(s->corpus);
    size_t n = corpus_source_n(s->corpus);
    for (size_t i = 0; i < n; i++)
        if (archive_find(s->archive, ids[i]) != ARCHIVE_ABSENT) lease_table_archived(s->leases, i);
}

static rt_status bury(archive_stage *s, queue *q, const queue_entry *entry, const char *reason,
                      rt_error *err)
{
    const queue_names *names = queue_link_names(s->link);
    rt_log_warn("label.buried", "entry=%s reason=\"%s\"", entry->id, reason);
    s->n_buried++;
    return queue_bury(q, names->labels, entry, names->dead, reason, err);
}

/* What became of one entry. */
typedef enum outcome { WRITTEN, REPEATED, BAD, DISK_TROUBLE } outcome;

static outcome append_entry(archive_stage *s, const queue_entry *entry, size_t *i_example,
                            rt_error *why)
{
    label_record r = {0};
    outcome result = BAD;
    size_t n = entry->n_bytes;
    rt_status st = wire_unseal(entry->bytes, &n, why);
    if (st == RT_OK) st = wire_decode_label(entry->bytes, n, &r, why);
    if (st != RT_OK) return st == RT_NOMEM ? DISK_TROUBLE : BAD;
    *i_example = corpus_source_find(s->corpus, r.id);
    if (*i_example == SIZE_MAX) {
        (void)!rt_fail(why, RT_NOTFOUND, "the id belongs to no example of the corpus");
    } else {
        st = archive_append(s->archive, &r, why);
        if (st == RT_OK) result = WRITTEN;
        if (st == RT_OK && s->recent != NULL)
            recent_rows_add(s->recent, &r, (double)rt_clock_wall_ms() / 1000.0);
        if (st == RT_EXISTS) result = REPEATED;
        if (st == RT_IO || st == RT_NOMEM) result = DISK_TROUBLE;
    }
    label_record_free(&r);
    return result;
}

static void note_disk_trouble(archive_stage *s, const rt_error *why, uint64_t now_ms)
{
    if (s->problem[0] == '\0') rt_log_error("archive.append", "%s", why->text);
    snprintf(s->problem, sizeof s->problem, "%.255s", why->text);
    s->retry_ms = now_ms + DISK_RETRY_MS;
}

/* Entries [0, *n_done) are in the archive or buried afterwards. */
typedef struct batch {
    queue_entry entries[ARCHIVE_BATCH];
    queue_entry good[ARCHIVE_BATCH]; /* borrowed copies, to be acknowledged */
    size_t examples[ARCHIVE_BATCH];
    size_t n, n_good;
} batch;

static rt_status append_all(archive_stage *s, queue *q, batch *b, uint64_t now_ms, rt_error *err)
{
    for (size_t i = 0; i < b->n; i++) {
        rt_error why = {0};
        size_t i_example = SIZE_MAX;
        switch (append_entry(s, &b->entries[i], &i_example, &why)) {
        case WRITTEN: s->n_archived++; break;
        case REPEATED: s->n_repeated++; break;
        case BAD: {
            rt_status st = bury(s, q, &b->entries[i], why.text, err);
            if (st != RT_OK) return st;
            continue;
        }
        case DISK_TROUBLE:
            note_disk_trouble(s, &why, now_ms);
            s->read_all_pending = false;
            return RT_OK;
        }
        b->examples[b->n_good] = i_example;
        b->good[b->n_good++] = b->entries[i];
    }
    s->problem[0] = '\0';
    return RT_OK;
}

static rt_status pump(archive_stage *s, queue *q, batch *b, uint64_t now_ms, bool *is_empty,
                      rt_error *err)
{
    const char *stream = queue_link_names(s->link)->labels;
    bool pending = !s->read_all_pending;
    b->n = 0;
    rt_status st =
        queue_read(q, stream, CONSUMER, pending, ARCHIVE_BATCH, 0, b->entries, &b->n, err);
    if (st != RT_OK) return st;
    if (b->n == 0) {
        *is_empty = true;
        s->problem[0] = '\0'; /* nothing waits for the disk any more */
        s->read_all_pending = true;
        return RT_OK;
    }
    rt_status appended = append_all(s, q, b, now_ms, err);
    if (b->n_good == 0) return appended;
    if ((st = archive_sync(s->archive, err)) != RT_OK) return st == RT_UNAVAILABLE ? RT_IO : st;
    for (size_t i = 0; i < b->n_good; i++) lease_table_archived(s->leases, b->examples[i]);
    fault_point("coordinator.before_ack");
    st = queue_ack(q, stream, b->good, b->n_good, err);
    return appended != RT_OK ? appended : st;
}

rt_status archive_stage_pump(archive_stage *s, uint64_t now_ms, size_t *n_taken, bool *is_empty,
                             rt_error *err)
{
    rt_error why = {0};
    batch b;
    *n_taken = 0;
    *is_empty = false;
    if (now_ms < s->retry_ms) return RT_OK;
    queue *q = queue_link_get(s->link, now_ms);
    if (q == NULL) return RT_OK;
    b.n = b.n_good = 0;
    rt_status st = pump(s, q, &b, now_ms, is_empty, &why);
    *n_taken = b.n;
    queue_entries_free(b.entries, b.n);
    if (st == RT_OK) return RT_OK;
    s->read_all_pending = false; /* what was taken and not acknowledged is read again */
    st = queue_link_failed(s->link, st, &why, now_ms);
    return st == RT_OK ? RT_OK : rt_fail(err, st, "labels: %s", why.text);
}

/* A rejected record of an example that nobody came back from. */
static rt_status append_rejected(archive_stage *s, size_t i_example, rt_error *err)
{
    static char reason[] = REASON_WORKER_DIED, raw[] = "";
    example e = {0};
    rt_status st = corpus_source_read(s->corpus, i_example, &e, err);
    label_record r = {.id = e.id,
                      .source_id = e.source_id,
                      .input = e.input,
                      .gold = e.gold,
                      .reason = reason,
                      .raw = raw}; /* borrows */
    if (st == RT_OK) st = archive_append(s->archive, &r, err);
    if (st == RT_EXISTS) st = RT_OK;
    if (st == RT_OK) st = archive_sync(s->archive, err);
    example_free(&e);
    return st;
}

rt_status archive_stage_reject_blamed(archive_stage *s, uint64_t now_ms, rt_error *err)
{
    uint64_t i_example = 0;
    while (lease_table_blamed(s->leases, &i_example)) {
        rt_error why = {0};
        rt_status st = append_rejected(s, i_example, &why);
        if (st == RT_IO || st == RT_NOMEM) {
            note_disk_trouble(s, &why, now_ms);
            return RT_OK;
        }
        if (st != RT_OK) return rt_fail(err, st == RT_UNAVAILABLE ? RT_IO : st, "%s", why.text);
        rt_log_warn("example.blamed", "number=%zu reason=" REASON_WORKER_DIED, (size_t)i_example);
        s->n_archived++;
        lease_table_archived(s->leases, i_example);
    }
    return RT_OK;
}
