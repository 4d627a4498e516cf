/* Which checkpoint to export.
 *
 *     checkpoints/best.json    {"version": 400, ...}    as chosen by the coordinator
 *     checkpoints/step-400/    checkpoints/step-500/
 */
#ifndef RT_WORKER_EXPORT_FIND_VERSION_H
#define RT_WORKER_EXPORT_FIND_VERSION_H

#include "common/base/status.h"

typedef enum export_pick {
    EXPORT_BEST,   /* of best.json; the newest good one when nothing was scored */
    EXPORT_LATEST, /* the newest one that is whole */
    EXPORT_NUMBER,
} export_pick;

typedef struct export_version {
    export_pick pick;
    uint64_t number; /* EXPORT_NUMBER */
} export_version;

/* "best", "latest" or a number; RT_INVALID otherwise. */
RT_MUST_USE rt_status export_version_parse(const char *text, export_version *out, rt_error *err);

/* Version in "<run_dir>/checkpoints". RT_NOTFOUND when there is none, RT_CORRUPT for a best.json
 * that makes no sense. */
RT_MUST_USE rt_status export_find_version(const char *run_dir, export_version which, uint64_t *out,
                                          rt_error *err);

#endif
