/* A large file that appears whole or not at all: bytes are streamed into "<path>.tmp-<pid>",
 * hashed on their way, and the finished file is renamed to its place. Internal to common/ckpt.
 *
 *     file_sink s;
 *     if ((st = file_sink_open(&s, path, err)) == RT_OK) st = file_sink_put(&s, bytes, n, err);
 *     if (st == RT_OK) st = file_sink_commit(&s, sha256, err);
 *     file_sink_close(&s);                          // without a commit: the file is removed
 */
#ifndef RT_CKPT_FILE_SINK_H
#define RT_CKPT_FILE_SINK_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

typedef struct file_sink {
    int fd; /* -1: closed */
    bool committed;
    uint64_t n_bytes;
    const char *path; /* keeps */
    char temporary[4096];
    rt_sha256 hash;
} file_sink;

/* On failure the sink is closed and nothing is left. */
RT_MUST_USE rt_status file_sink_open(file_sink *s, const char *path, rt_error *err);
RT_MUST_USE rt_status file_sink_put(file_sink *s, const void *bytes, size_t n, rt_error *err);
/* n zero bytes. */
RT_MUST_USE rt_status file_sink_pad(file_sink *s, size_t n, rt_error *err);
/* fsync, rename, fsync of the folder. sha256 (may be NULL) receives the hash of all bytes. */
RT_MUST_USE rt_status file_sink_commit(file_sink *s, char sha256[RT_SHA256_HEX_SIZE],
                                       rt_error *err);
void file_sink_close(file_sink *s);

#endif
