#include "coordinator/lease_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum shard_state { SHARD_PENDING, SHARD_LEASED, SHARD_BLAMED, SHARD_DONE } shard_state;

typedef struct shard_row {
    uint32_t n_missing;
    uint8_t state;
    bool alone;        /* its examples are granted one at a time */
    uint16_t n_deaths; /* since something of it was archived */
} shard_row;

_Static_assert(sizeof(shard_row) == 8, "there may be millions");

struct lease_table {
    uint64_t n_examples, shard_size, lease_ms;
    uint8_t *archived; /* bit per example */
    shard_row *shards;
    uint64_t n_shards;
    uint64_t low;   /* no shard below is pending */
    uint64_t limit; /* no shard from here on is granted */
    uint64_t deaths_max;
    uint64_t n_blamed; /* shards */
    lease *leases;
    size_t n_leases, leases_capacity;
    uint64_t n_missing, n_missing_leased;
    uint64_t n_done;
    uint64_t next_id;
    bool closed, finished;
    uint64_t n_granted, n_expired, n_returned, n_redelivered;
};

rt_status lease_table_new(uint64_t n_examples, uint64_t shard_size, uint64_t lease_ms,
                          lease_table **out, rt_error *err)
{
    if (shard_size == 0 || shard_size > UINT32_MAX)
        return rt_fail(err, RT_INVALID, "lease table: shard size %" PRIu64, shard_size);
    lease_table *t = rt_calloc(1, sizeof *t);
    if (t == NULL) return rt_fail(err, RT_NOMEM, "lease table");
    t->n_examples = t->n_missing = n_examples;
    t->shard_size = shard_size;
    t->lease_ms = lease_ms;
    t->next_id = 1;
    t->limit = UINT64_MAX;
    t->n_shards = (n_examples + shard_size - 1) / shard_size;
    t->archived = rt_calloc(n_examples / 8 + 1, 1);
    t->shards = rt_calloc(t->n_shards, sizeof *t->shards);
    if (t->archived == NULL || t->shards == NULL) {
        lease_table_free(t);
        return rt_fail(err, RT_NOMEM, "lease table of %" PRIu64 " examples", n_examples);
    }
    for (uint64_t k = 0; k < t->n_shards; k++) {
        uint64_t n;
        lease_table_range(t, k, &n);
        t->shards[k].n_missing = (uint32_t)n;
    }
    *out = t;
    return RT_OK;
}

void lease_table_free(lease_table *t)
{
    if (t == NULL) return;
    free(t->archived);
    free(t->shards);
    free(t->leases);
    free(t);
}

static void make_pending(lease_table *t, uint64_t shard)
{
    t->shards[shard].state = SHARD_PENDING;
    if (shard < t->low) t->low = shard;
}

/* Forget lease i; its shard becomes pending unless it is done. */
static void drop_lease(lease_table *t, size_t i)
{
    uint64_t shard = t->leases[i].shard;
    shard_row *row = &t->shards[shard];
    if (row->state == SHARD_LEASED) {
        t->n_missing_leased -= row->n_missing;
        make_pending(t, shard);
    }
    memmove(&t->leases[i], &t->leases[i + 1], (t->n_leases - i - 1) * sizeof *t->leases);
    t->n_leases--;
}

/* The newest lease that the worker should know of and does not, or NULL. */
static lease *find_unknown(lease_table *t, const char *worker, uint32_t n_held)
{
    lease *newest = NULL;
    uint64_t n = 0;
    for (size_t i = 0; i < t->n_leases; i++) {
        lease *l = &t->leases[i];
        if (l->told_done || strcmp(l->worker, worker) != 0) continue;
        n++;
        if (newest == NULL || l->id > newest->id) newest = l;
    }
    return n > n_held ? newest : NULL;
}

static rt_status grow(lease_table *t, rt_error *err)
{
    if (t->n_leases < t->leases_capacity) return RT_OK;
    size_t capacity = t->leases_capacity == 0 ? 16 : t->leases_capacity * 2;
    lease *grown = realloc(t->leases, capacity * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "lease table: %zu leases", capacity);
    t->leases = grown;
    t->leases_capacity = capacity;
    return RT_OK;
}

/* The lowest example of a shard that is not archived; the shard must not be done. */
static uint64_t first_missing(const lease_table *t, uint64_t shard)
{
    uint64_t i = shard * t->shard_size;
    while (lease_table_is_archived(t, i)) i++;
    return i;
}

rt_status lease_table_grant(lease_table *t, const char *worker, uint32_t n_held, uint64_t now_ms,
                            lease *out, bool *granted, rt_error *err)
{
    lease *again = find_unknown(t, worker, n_held);
    if (again != NULL) {
        again->deadline_ms = now_ms + t->lease_ms;
        *out = *again;
        *granted = true;
        return RT_OK;
    }
    while (t->low < t->n_shards && t->shards[t->low].state != SHARD_PENDING) t->low++;
    if (t->closed || t->low >= RT_MIN(t->n_shards, t->limit)) {
        *granted = false;
        return RT_OK;
    }
    rt_status st = grow(t, err);
    if (st != RT_OK) return st;
    lease *l = &t->leases[t->n_leases++];
    *l = (lease){.shard = t->low,
                 .id = t->next_id++,
                 .deadline_ms = now_ms + t->lease_ms,
                 .only = t->shards[t->low].alone ? first_missing(t, t->low) : LEASE_WHOLE};
    snprintf(l->worker, sizeof l->worker, "%s", worker);
    t->shards[l->shard].state = SHARD_LEASED;
    t->n_missing_leased += t->shards[l->shard].n_missing;
    t->n_granted++;
    *out = *l;
    *granted = true;
    return RT_OK;
}

void lease_table_limit(lease_table *t, uint64_t n_shards)
{
    t->limit = n_shards;
}

void lease_table_renew(lease_table *t, const char *worker, uint64_t now_ms)
{
    for (size_t i = 0; i < t->n_leases; i++)
        if (strcmp(t->leases[i].worker, worker) == 0)
            t->leases[i].deadline_ms = now_ms + t->lease_ms;
}

/* The holder of a shard, which is pending again, has died with it in hand. */
static void note_death(lease_table *t, uint64_t shard)
{
    shard_row *row = &t->shards[shard];
    if (t->deaths_max == 0 || row->state != SHARD_PENDING || ++row->n_deaths < t->deaths_max)
        return;
    row->n_deaths = 0;
    if (row->alone) {
        row->state = SHARD_BLAMED;
        t->n_blamed++;
    }
    row->alone = true;
}

size_t lease_table_return(lease_table *t, const char *worker)
{
    size_t n = 0;
    for (size_t i = t->n_leases; i-- > 0;) {
        lease l = t->leases[i];
        if (strcmp(l.worker, worker) != 0) continue;
        drop_lease(t, i);
        if (!l.told_done) note_death(t, l.shard);
        n++;
    }
    t->n_returned += n;
    return n;
}

void lease_table_blame_after(lease_table *t, uint64_t deaths_max)
{
    t->deaths_max = RT_MIN(deaths_max, (uint64_t)UINT16_MAX);
}

bool lease_table_blamed(const lease_table *t, uint64_t *i_example)
{
    if (t->n_blamed == 0) return false;
    uint64_t shard = 0;
    while (t->shards[shard].state != SHARD_BLAMED) shard++;
    *i_example = first_missing(t, shard);
    return true;
}

size_t lease_table_expire(lease_table *t, uint64_t now_ms)
{
    size_t n = 0;
    for (size_t i = t->n_leases; i-- > 0;) {
        if (now_ms <= t->leases[i].deadline_ms) continue;
        drop_lease(t, i);
        n++;
    }
    t->n_expired += n;
    return n;
}

/* Place of a lease, or n_leases. */
static size_t find_lease(const lease_table *t, const char *worker, uint64_t shard, uint64_t id)
{
    size_t i = 0;
    for (; i < t->n_leases; i++) {
        const lease *l = &t->leases[i];
        if (l->shard == shard && l->id == id && strcmp(l->worker, worker) == 0) break;
    }
    return i;
}

bool lease_table_told_done(lease_table *t, const char *worker, uint64_t shard, uint64_t id)
{
    size_t i = find_lease(t, worker, shard, id);
    if (i == t->n_leases) return false;
    t->leases[i].told_done = true;
    return true;
}

bool lease_table_give_back(lease_table *t, const char *worker, uint64_t shard, uint64_t id)
{
    size_t i = find_lease(t, worker, shard, id);
    if (i == t->n_leases) return false;
    drop_lease(t, i);
    t->n_returned++;
    return true;
}

size_t lease_table_stream_empty(lease_table *t)
{
    size_t n = 0;
    for (size_t i = t->n_leases; i-- > 0;) {
        if (!t->leases[i].told_done) continue;
        drop_lease(t, i);
        n++;
    }
    t->n_redelivered += n;
    return n;
}

/* What was granted alone is here: on to the next of its shard. */
static void end_alone(lease_table *t, uint64_t shard, uint64_t i_example)
{
    for (size_t i = t->n_leases; i-- > 0;)
        if (t->leases[i].shard == shard && t->leases[i].only == i_example) drop_lease(t, i);
}

static void complete_shard(lease_table *t, uint64_t shard)
{
    t->shards[shard].state = SHARD_DONE;
    t->n_done++;
    for (size_t i = t->n_leases; i-- > 0;)
        if (t->leases[i].shard == shard) drop_lease(t, i);
}

void lease_table_archived(lease_table *t, uint64_t i_example)
{
    RT_ASSERT(i_example < t->n_examples);
    if (lease_table_is_archived(t, i_example)) return;
    t->archived[i_example / 8] |= (uint8_t)(1u << (i_example % 8));
    uint64_t shard = i_example / t->shard_size;
    shard_row *row = &t->shards[shard];
    bool was_blamed = row->state == SHARD_BLAMED;
    row->n_missing--;
    row->n_deaths = 0;
    t->n_missing--;
    if (row->state == SHARD_LEASED) t->n_missing_leased--;
    if (was_blamed) t->n_blamed--;
    if (row->n_missing == 0)
        complete_shard(t, shard);
    else if (was_blamed)
        make_pending(t, shard);
    else if (row->alone)
        end_alone(t, shard, i_example);
}

void lease_table_close(lease_table *t)
{
    t->closed = true;
}

bool lease_table_is_closed(const lease_table *t)
{
    return t->closed;
}

size_t lease_table_n_leases(const lease_table *t)
{
    return t->n_leases;
}

void lease_table_finish(lease_table *t)
{
    t->closed = t->finished = true;
}

bool lease_table_is_archived(const lease_table *t, uint64_t i_example)
{
    RT_ASSERT(i_example < t->n_examples);
    return (t->archived[i_example / 8] >> (i_example % 8)) & 1;
}

uint64_t lease_table_range(const lease_table *t, uint64_t shard, uint64_t *n)
{
    RT_ASSERT(shard < t->n_shards);
    uint64_t first = shard * t->shard_size;
    *n = RT_MIN(t->shard_size, t->n_examples - first);
    return first;
}

bool lease_table_range_done(const lease_table *t, uint64_t first, uint64_t n)
{
    uint64_t end = RT_MIN(t->n_examples, first + n);
    if (t->finished) return true;
    for (uint64_t i = first; i < end; i++) {
        if (t->shards[i / t->shard_size].n_missing == 0) {
            i = (i / t->shard_size + 1) * t->shard_size - 1; /* a whole shard at once */
            continue;
        }
        if (!lease_table_is_archived(t, i)) return false;
    }
    return true;
}

bool lease_table_all_done(const lease_table *t)
{
    return t->n_missing == 0 || t->finished;
}

void lease_table_count(const lease_table *t, lease_counts *out)
{
    uint64_t n_leased = 0;
    for (size_t i = 0; i < t->n_leases; i++)
        if (t->shards[t->leases[i].shard].state == SHARD_LEASED) n_leased++;
    *out = (lease_counts){.n_shards = t->n_shards,
                          .n_shards_done = t->n_done,
                          .n_shards_leased = n_leased,
                          .n_shards_pending = t->n_shards - t->n_done - n_leased,
                          .n_examples_leased = t->n_missing_leased,
                          .n_examples_pending = t->n_missing - t->n_missing_leased,
                          .n_granted = t->n_granted,
                          .n_expired = t->n_expired,
                          .n_returned = t->n_returned,
                          .n_redelivered = t->n_redelivered};
}
