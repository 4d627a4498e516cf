/* From the stream LABELS into the archive: decode, append, sync once per batch, only then
 * acknowledge. */
#ifndef RT_COORDINATOR_ARCHIVE_STAGE_H
#define RT_COORDINATOR_ARCHIVE_STAGE_H

#include "common/dataset/archive.h"
#include "coordinator/corpus_source.h"
#include "coordinator/lease_table.h"
#include "coordinator/queue_link.h"
#include "coordinator/recent_rows.h"

#define ARCHIVE_BATCH      256
#define REASON_WORKER_DIED "worker_died"

/* Keeps everything it points to. */
typedef struct archive_stage {
    archive *archive;
    const corpus_source *corpus;
    lease_table *leases;
    queue_link *link;
    recent_rows *recent;   /* what was written last, for people; or NULL */
    bool read_all_pending; /* entries taken before and not acknowledged were read again */
    uint64_t n_archived, n_repeated, n_buried;
    char problem[256]; /* why records cannot be written now; "" */
    uint64_t retry_ms;
} archive_stage;

/* Tell the lease table what the archive holds already. */
void archive_stage_begin(archive_stage *s);
/* Move at most ARCHIVE_BATCH records. *n_taken entries were there; *is_empty says that the stream
 * was read and found empty. A full disk is a problem, not a failure; a failed sync is a failure
 * (what is on disk is then unknown). */
RT_MUST_USE rt_status archive_stage_pump(archive_stage *s, uint64_t now_ms, size_t *n_taken,
                                         bool *is_empty, rt_error *err);
/* When the stream is empty: what the lease table blames for the deaths of teachers is rejected. */
RT_MUST_USE rt_status archive_stage_reject_blamed(archive_stage *s, uint64_t now_ms, rt_error *err);

#endif
