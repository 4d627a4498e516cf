/* The keys that clients may use: `Authorization: Bearer KEY`.
 *
 *     api_keys *keys = NULL;
 *     if ((st = api_keys_load("keys.txt", &keys, err)) != RT_OK) goto out;
 *     if (!api_keys_allow(keys, header)) ...
 *
 * A key is compared with all there are, by its SHA-256 and without an early end, so that the time it
 * takes says nothing of them. Keys are kept as hashes only.
 */
#ifndef RT_HTTP_SERVER_API_KEYS_H
#define RT_HTTP_SERVER_API_KEYS_H

#include "common/base/bytes.h"

#define API_KEYS_MAX      10000
#define API_KEY_BYTES_MAX 512

typedef struct api_keys api_keys;

/* One key a line; empty lines and lines that begin with # are passed over. RT_INVALID for a file
 * without a key, for one that is too long or holds blanks. Returns new; api_keys_free(). */
RT_MUST_USE rt_status api_keys_load(const char *path, api_keys **out, rt_error *err);
/* The same from the file's text. */
RT_MUST_USE rt_status api_keys_parse(const char *text, size_t n, api_keys **out, rt_error *err);
void api_keys_free(api_keys *keys);
/* "Bearer KEY" with the first key of a file, for who has to show one. `out` holds a secret then: wipe
 * it. Fails as api_keys_load(). */
RT_MUST_USE rt_status api_keys_first(const char *path, rt_buf *out, rt_error *err);
/* `authorization` is the header's value; NULL when there is none. */
bool api_keys_allow(const api_keys *keys, const char *authorization);

#endif
