/* Answers that were paid for, kept on disk by content, shared by all runs and processes of a
 * machine: the same prompt to the same model with the same sampling is never paid twice.
 *
 *     answer_cache *cache = NULL;
 *     if ((st = answer_cache_open(folder, &cache, err)) != RT_OK) goto out;
 *     if (answer_cache_get(cache, key, &bytes, err) == RT_NOTFOUND) {
 *         ... ask and pay ...
 *         st = answer_cache_put(cache, key, bytes.data, bytes.n, err);
 *     }
 *     answer_cache_close(cache);
 *
 * The key is a hash of everything that shapes the answer; what the bytes mean is the caller's. A
 * value is written once: the first write wins, and a reader sees it whole or not at all, whoever
 * is killed when. A damaged value is as good as none.
 */
#ifndef RT_CACHE_ANSWER_CACHE_H
#define RT_CACHE_ANSWER_CACHE_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

typedef struct answer_cache answer_cache;

/* A longer value is refused: RT_FULL. */
#define ANSWER_CACHE_BYTES_MAX (64u << 20)

/* Makes the folder. Any number of processes may have it open, each handle used by
 * one thread at a time. Returns new; answer_cache_close(). */
RT_MUST_USE rt_status answer_cache_open(const char *folder, answer_cache **out, rt_error *err);
void answer_cache_close(answer_cache *c);

/* Replaces *out. RT_NOTFOUND when there is none (a damaged one is counted and removed). */
RT_MUST_USE rt_status answer_cache_get(answer_cache *c, rt_id key, rt_buf *out, rt_error *err);
/* RT_OK also when there is one already. */
RT_MUST_USE rt_status answer_cache_put(answer_cache *c, rt_id key, const void *bytes, size_t n,
                                       rt_error *err);
/* Forget a value, so that its question is asked anew: for all runs that share the folder. RT_NOTFOUND
 * when there is none. */
RT_MUST_USE rt_status answer_cache_remove(answer_cache *c, rt_id key, rt_error *err);

typedef struct answer_cache_counts {
    uint64_t n_hits, n_misses, n_puts, n_damaged;
} answer_cache_counts;
answer_cache_counts answer_cache_get_counts(const answer_cache *c);

#endif
