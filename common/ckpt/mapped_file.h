/* A whole file mapped for reading. Internal to common/ckpt: bytes are checked by whoever maps. */
#ifndef RT_CKPT_MAPPED_FILE_H
#define RT_CKPT_MAPPED_FILE_H

#include "common/base/status.h"

/* `mapped` false: borrowed from a caller, and left alone by mapped_file_close(). */
typedef struct mapped_file {
    const uint8_t *bytes;
    size_t n_bytes;
    bool mapped;
} mapped_file;

/* An empty file gives no bytes. RT_NOTFOUND, RT_IO (also for what is no regular file). */
RT_MUST_USE rt_status mapped_file_open(const char *path, mapped_file *out, rt_error *err);
void mapped_file_close(mapped_file *f);

#endif
