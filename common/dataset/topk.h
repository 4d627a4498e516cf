/* What a teacher held likely at each token of a text: the tokens, the best others, and how much was
 * left for all that are not named. For losses over soft targets, which need probabilities and not
 * words.
 *
 *     topk_writer w = {0};
 *     for (each token) { if ((st = topk_add(&w, &place, err)) != RT_OK) goto out; }
 *     if ((st = topk_text(&w, &text, err)) != RT_OK) goto out;      // a record's "topk"
 *
 *     topk_reader r = {0};
 *     if ((st = topk_open(text, n, &r, err)) != RT_OK) goto out;
 *     while ((st = topk_next(&r, &place)) == RT_OK) use(&place);    // RT_END behind the last
 *     topk_close(&r);
 *
 * The text is base64 of these bytes, numbers little-endian:
 *
 *     u8 version = 1, u32 n_tokens, u32 n_places
 *     n_places times: u8 n, f32 log_tail, n times: f32 logprob, u8 n_bytes, bytes of the token
 *
 * Tokens are bytes and not ids, for a server's vocabulary is not known; they may be parts of a
 * character. The first of a place is the one that was written, the others follow by falling
 * probability. Joined, the first ones are the text as the server wrote it. Where n_places is below
 * n_tokens, the rest was left out because the text would be longer than TOPK_BYTES_MAX.
 */
#ifndef RT_DATASET_TOPK_H
#define RT_DATASET_TOPK_H

#include <math.h>

#include "common/base/bytes.h"

#define TOPK_ENTRIES_MAX     64 /* of one place; the least likely are left out, into the tail */
#define TOPK_TOKEN_BYTES_MAX 255
#define TOPK_BYTES_MAX       ((size_t)128 << 10) /* of one text, before base64 */
/* A tail below this is the rounding of the server: there is none. */
#define TOPK_TAIL_MIN 1e-6

typedef struct topk_entry {
    const char *token; /* borrowed, not ended */
    size_t n;
    double logprob; /* in nats */
} topk_entry;

typedef struct topk_place {
    topk_entry entries[TOPK_ENTRIES_MAX];
    size_t n;        /* at least 1 */
    double log_tail; /* log(1 - sum of exp(logprob)); -INFINITY: nothing is left */
} topk_place;

/* Zero-initialise; topk_writer_free(). */
typedef struct topk_writer {
    rt_buf places;
    uint32_t n_tokens, n_places;
} topk_writer;

void topk_writer_free(topk_writer *w);
/* Entries 1 and on in any order; their tokens must differ. Sorts them and sets log_tail. RT_INVALID,
 * and nothing added, when they are no probabilities: a logprob above 0, a sum above 1, a token that
 * is too long. */
RT_MUST_USE rt_status topk_add(topk_writer *w, topk_place *place, rt_error *err);
/* Replaces *out; a text of no tokens is "". */
RT_MUST_USE rt_status topk_text(const topk_writer *w, rt_buf *out, rt_error *err);

/* Zero-initialise; topk_close(). */
typedef struct topk_reader {
    uint32_t n_tokens, n_places;
    rt_buf bytes;
    size_t at;
    uint32_t i_place;
} topk_reader;

/* RT_CORRUPT when the text is none of topk_text(): checked to its end. */
RT_MUST_USE rt_status topk_open(const char *text, size_t n, topk_reader *out, rt_error *err);
/* RT_END behind the last place. Tokens are valid until topk_close(). */
RT_MUST_USE rt_status topk_next(topk_reader *r, topk_place *out);
void topk_close(topk_reader *r);

#endif
