/* Hashes: XXH3-128 names things by content, SHA-256 proves what a file holds.
 *
 *     rt_id id = rt_id_of(input, strlen(input));
 *     char hex[RT_ID_HEX_SIZE];
 *     rt_id_to_hex(id, hex);
 */
#ifndef RT_BASE_HASH_H
#define RT_BASE_HASH_H

#include "common/base/status.h"

/* Content id of an example: 128-bit XXH3. */
typedef struct rt_id {
    uint64_t high;
    uint64_t low;
} rt_id;

#define RT_ID_HEX_SIZE     33 /* 32 lower-case digits and the end */
#define RT_SHA256_HEX_SIZE 65

rt_id rt_id_of(const void *bytes, size_t n_bytes);
/* Id of two parts; the boundary counts, so ("ab","c") and ("a","bc") differ. */
rt_id rt_id_of_two(const void *a, size_t n_a, const void *b, size_t n_b);
bool rt_id_equal(rt_id a, rt_id b);
/* <0, 0, >0, as the hex forms compare. */
int rt_id_compare(rt_id a, rt_id b);
void rt_id_to_hex(rt_id id, char out[RT_ID_HEX_SIZE]);
/* Exactly 32 hex digits, or false and *out untouched. */
bool rt_id_from_hex(const char *hex, rt_id *out);

uint64_t rt_hash64(const void *bytes, size_t n_bytes, uint64_t seed);
/* The same of bytes that come in parts. Returns new, ended (and freed) with rt_hash64_end(); NULL when
 * out of memory. */
typedef struct rt_hash64_parts rt_hash64_parts;
rt_hash64_parts *rt_hash64_begin(uint64_t seed);
void rt_hash64_add(rt_hash64_parts *h, const void *bytes, size_t n_bytes);
uint64_t rt_hash64_end(rt_hash64_parts *h);

/* Streaming SHA-256 (libsodium). Open struct: lives on the stack, owns nothing. */
typedef struct rt_sha256 {
    _Alignas(16) unsigned char opaque[160];
} rt_sha256;

void rt_sha256_begin(rt_sha256 *state);
void rt_sha256_add(rt_sha256 *state, const void *bytes, size_t n_bytes);
void rt_sha256_end(rt_sha256 *state, char hex[RT_SHA256_HEX_SIZE]);
void rt_sha256_of(const void *bytes, size_t n_bytes, char hex[RT_SHA256_HEX_SIZE]);
/* SHA-256 of a file's bytes, streamed. RT_IO names the file. */
RT_MUST_USE rt_status rt_sha256_file(const char *path, char hex[RT_SHA256_HEX_SIZE], rt_error *err);

#endif
