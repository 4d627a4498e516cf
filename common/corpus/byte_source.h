/* The bytes of a file as they were before compression. What the file holds decides, not its name:
 * gzip and zstd are known by their first bytes, anything else is plain. */
#ifndef RT_CORPUS_BYTE_SOURCE_H
#define RT_CORPUS_BYTE_SOURCE_H

#include "common/base/status.h"

typedef struct byte_source byte_source;

/* Returns new; byte_source_close(). */
RT_MUST_USE rt_status byte_source_open(const char *path, byte_source **out, rt_error *err);
void byte_source_close(byte_source *s);
/* Whether the bytes of the file itself are others. */
bool byte_source_is_packed(const byte_source *s);
/* At least one byte and at most n, or RT_END. RT_CORRUPT names a broken or torn compressed file. */
RT_MUST_USE rt_status byte_source_read(byte_source *s, char *to, size_t n, size_t *n_read,
                                       rt_error *err);
/* Bytes of the file itself that were read so far. */
uint64_t byte_source_n_read(const byte_source *s);

#endif
