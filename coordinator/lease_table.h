/* Which teacher labels which range of the corpus, and what is still missing. Pure.
 *
 * Shard k is the examples [k * shard_size, (k + 1) * shard_size). A shard is
 *
 *     pending ──grant──► leased ──every example archived──► done
 *        ▲                  │
 *        └── holder dead, lease over, given back, or told done while examples are missing and LABELS
 *            is empty
 *
 * Examples become archived whoever wrote them. Grants go in corpus order. A worker whose request
 * was answered and whose answer was lost says how many shards it holds; what it does not know of is
 * granted again instead of a new one, so repeats and late messages leak no lease.
 *
 * An example may kill whoever works on it, and its shard is the first that the next worker gets. When
 * deaths_max holders of a shard died and nothing of it came, its examples are granted one at a time;
 * when as many died with one example in hand, that one is blamed: its shard waits until it is archived,
 * rejected by whoever asks lease_table_blamed(). Counts are of this process's life.
 */
#ifndef RT_COORDINATOR_LEASE_TABLE_H
#define RT_COORDINATOR_LEASE_TABLE_H

#include "common/base/bytes.h"

#define LEASE_WORKER_SIZE 64
#define LEASE_WHOLE       UINT64_MAX

typedef struct lease_table lease_table;

typedef struct lease {
    uint64_t shard;
    uint64_t id;
    uint64_t deadline_ms;
    uint64_t only;  /* the one example it is for, or LEASE_WHOLE */
    bool told_done; /* its teacher says that all records are in the stream */
    char worker[LEASE_WORKER_SIZE];
} lease;

typedef struct lease_counts {
    uint64_t n_shards, n_shards_pending, n_shards_leased, n_shards_done;
    uint64_t n_examples_pending, n_examples_leased;           /* not archived yet */
    uint64_t n_granted, n_expired, n_returned, n_redelivered; /* since the start */
} lease_counts;

RT_MUST_USE rt_status lease_table_new(uint64_t n_examples, uint64_t shard_size, uint64_t lease_ms,
                                      lease_table **out, rt_error *err);
void lease_table_free(lease_table *t);

/* The lowest pending shard below the limit, or one that this worker was granted and does not know of. */
RT_MUST_USE rt_status lease_table_grant(lease_table *t, const char *worker, uint32_t n_held,
                                        uint64_t now_ms, lease *out, bool *granted, rt_error *err);
/* Grant only shards below n_shards; what is leased already stays. UINT64_MAX: all, as at first. */
void lease_table_limit(lease_table *t, uint64_t n_shards);
/* A sign of life of the holder. */
void lease_table_renew(lease_table *t, const char *worker, uint64_t now_ms);
/* The holder is dead or was replaced: its leases go back. Returns how many. */
size_t lease_table_return(lease_table *t, const char *worker);
/* Deaths until examples are granted one at a time, and until one is blamed; 0, as at first: never. */
void lease_table_blame_after(lease_table *t, uint64_t deaths_max);
/* The lowest example that is blamed; false when none is. It stays until it is archived. */
bool lease_table_blamed(const lease_table *t, uint64_t *i_example);
/* Leases whose time is over go back. Returns how many. */
size_t lease_table_expire(lease_table *t, uint64_t now_ms);
/* LeaseDone. False for a lease that is not the worker's any more (harmless). */
bool lease_table_told_done(lease_table *t, const char *worker, uint64_t shard, uint64_t id);
/* Its teacher stops and will not finish the shard: it is pending again, and nobody has died of it. False
 * for a lease that is not the worker's any more. */
bool lease_table_give_back(lease_table *t, const char *worker, uint64_t shard, uint64_t id);
/* LABELS was read empty after the LeaseDone messages so far: told-done shards with missing
 * examples go back. Returns how many. */
size_t lease_table_stream_empty(lease_table *t);
/* An example is archived (again: no effect). */
void lease_table_archived(lease_table *t, uint64_t i_example);

/* No further shard is granted, and none that comes back is granted again. */
void lease_table_close(lease_table *t);
bool lease_table_is_closed(const lease_table *t);
size_t lease_table_n_leases(const lease_table *t);
/* Labelling ends here: what is not archived now is left out and counts as done (it still counts as
 * pending among the examples). */
void lease_table_finish(lease_table *t);

bool lease_table_is_archived(const lease_table *t, uint64_t i_example);
/* First example of a shard and how many it has. */
uint64_t lease_table_range(const lease_table *t, uint64_t shard, uint64_t *n);
/* True when examples [first, first + n) are all archived (clipped at the corpus' end) or left out. */
bool lease_table_range_done(const lease_table *t, uint64_t first, uint64_t n);
bool lease_table_all_done(const lease_table *t);
void lease_table_count(const lease_table *t, lease_counts *out);

#endif
