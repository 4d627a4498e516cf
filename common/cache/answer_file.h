/* Bytes of one file of the answer cache. Pure: bytes in, bytes out.
 *
 *     magic[8]  key.high u64  key.low u64  n u64  hash u64  payload[n]      all little-endian
 *
 * The hash is the 64-bit XXH3 of the payload, seeded with that of the four fields before it: a cut,
 * a flipped bit anywhere, a longer file and a file under another key's name are all found out.
 */
#ifndef RT_CACHE_ANSWER_FILE_H
#define RT_CACHE_ANSWER_FILE_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

#define ANSWER_FILE_HEADER 40

void answer_file_header(rt_id key, const void *payload, size_t n,
                        unsigned char out[ANSWER_FILE_HEADER]);
/* RT_CORRUPT says what is wrong. *payload points into `bytes`. */
RT_MUST_USE rt_status answer_file_decode(rt_id key, const void *bytes, size_t n_bytes,
                                         const char **payload, size_t *n, rt_error *err);

#endif
