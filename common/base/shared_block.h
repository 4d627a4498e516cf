/* Bytes that another process of this machine may read without a copy through a socket.
 *
 *     writer                                        reader
 *     shared_block_new(n, &b, err)
 *     fill shared_block_bytes(b)
 *     ref = shared_block_refer(b, at, n)  ──ref──►  shared_block_read(&ref, out, err)
 *
 *     memory   [ token | 0 ... | bytes ]     /proc/PID/fd/FD of the writer names it
 *              0              4096
 *
 * The memory has no name (memfd_create): the kernel takes it back when the writer is gone, however it
 * ended, and nothing is left to clean up. A reader keeps nothing open and reads with pread(), so a
 * writer that dies meanwhile is an error, not a signal. What it read counts only when the checksum
 * fits: a writer may have gone on. Machine and token tell a process of the same number on another
 * machine or in another container from the writer; there the reader says RT_UNAVAILABLE and the bytes
 * have to travel. Named segments (shm_open) were rejected: they outlive a killed owner.
 */
#ifndef RT_BASE_SHARED_BLOCK_H
#define RT_BASE_SHARED_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

typedef struct shared_block shared_block;

/* What a reader is told. Plain numbers; all 0: nothing. */
typedef struct shared_block_ref {
    uint64_t host; /* hash of the kernel's boot id */
    uint64_t pid, fd;
    uint64_t token;
    uint64_t offset, n_bytes; /* within the writer's bytes */
    uint64_t checksum;        /* rt_hash64() of them */
} shared_block_ref;

/* n_bytes of zeros, page-aligned. Returns new; freed with shared_block_free(). RT_UNSUPPORTED where
 * the system has no such memory, RT_NOMEM. */
RT_MUST_USE rt_status shared_block_new(size_t n_bytes, shared_block **out, rt_error *err);
void shared_block_free(shared_block *b);
/* Valid until shared_block_free(). */
void *shared_block_bytes(shared_block *b);
/* Of the bytes as they are now; within the block. */
shared_block_ref shared_block_refer(const shared_block *b, size_t offset, size_t n_bytes);

/* ref->n_bytes into `out`. A ref may come from anybody: only memory made by shared_block_new() is
 * read. RT_UNAVAILABLE when it is not of this machine or cannot be opened; RT_CORRUPT when the bytes
 * are no longer those that were referred to; `out` is undefined then. */
RT_MUST_USE rt_status shared_block_read(const shared_block_ref *ref, void *out, rt_error *err);

/* The same part after part, in order, without room for the whole: hear() gets n bytes that lie at `at`
 * of those referred to; each part but the last is SHARED_BLOCK_PART long. What was heard counts only
 * when this returns RT_OK. */
#define SHARED_BLOCK_PART (256u << 10)
RT_MUST_USE rt_status shared_block_read_parts(const shared_block_ref *ref,
                                              void (*hear)(void *context, size_t at,
                                                           const void *bytes, size_t n),
                                              void *context, rt_error *err);

#endif
