/* The smoke phase: a few rows go first, and the rest only when enough of them came back well. Pure.
 *
 *                  share of rejected ones too large
 *     WAITING ─────────────────────────────────────────► FAILED
 *        │ all of the first rows are labelled or rejected
 *        └─────────────────────────────────────────────► PASSED (also: nothing is to be held back)
 *
 *     smoke_gate g = smoke_gate_new(16, 50, n_examples, 0.5);     // 50 rows: shards go whole
 *     lease_table_limit(leases, smoke_gate_n_shards(&g));
 *     ... smoke_gate_see(&g, n_labelled, n_rejected), counted over the first g.n_rows examples ...
 *
 * Shards are fixed units, so the first rows are whole shards: the gate changes when a shard is
 * labelled, never what is labelled.
 */
#ifndef RT_COORDINATOR_SMOKE_GATE_H
#define RT_COORDINATOR_SMOKE_GATE_H

#include "common/base/status.h"

typedef enum smoke_state { SMOKE_PASSED, SMOKE_WAITING, SMOKE_FAILED } smoke_state;

typedef struct smoke_gate {
    smoke_state state;
    uint64_t n_rows; /* examples [0, n_rows) go first; 0: there is no smoke phase */
    uint64_t shard_size;
    double share_max;
    uint64_t n_labelled, n_rejected; /* of the first rows, as seen last */
} smoke_gate;

/* n_wanted 0: no smoke phase. None either when the first shards are the whole corpus: there is no
 * rest to be saved. */
smoke_gate smoke_gate_new(uint64_t n_wanted, uint64_t shard_size, uint64_t n_examples,
                          double share_max);
/* It was passed in an earlier life of the run. */
void smoke_gate_skip(smoke_gate *g);
/* Shards that may be leased now; UINT64_MAX: all. */
uint64_t smoke_gate_n_shards(const smoke_gate *g);
/* Of the first rows so many are labelled and rejected. True when that decides. */
bool smoke_gate_see(smoke_gate *g, uint64_t n_labelled, uint64_t n_rejected);

#endif
