/* Folders that a run will write to: can it, and how much room is there? Leaves nothing behind. */
#ifndef RT_CLI_DOCTOR_PLACE_H
#define RT_CLI_DOCTOR_PLACE_H

#include <limits.h>
#include <sys/types.h>

#include "common/base/status.h"

typedef struct place {
    char folder[PATH_MAX]; /* the nearest one that exists: the path itself, or one above it */
    bool exists;           /* it is the path itself */
    uint64_t n_free;       /* bytes for this user */
    dev_t device;
} place;

/* Tries to make a file (without a name where the file system can) where `path` is or will be made.
 * RT_IO names what is in the way. */
RT_MUST_USE rt_status place_look(const char *path, place *out, rt_error *err);
/* Bytes of all files under a folder; 0 when there is none. */
uint64_t place_bytes(const char *folder);

#endif
