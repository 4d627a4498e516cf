/* What a provider keeps of an account's limits: so many requests and tokens per period, as a bucket
 * that fills evenly or as a window that begins anew. Pure: time is an argument.
 *
 *     limit_book b;
 *     limit_book_start(&b, &(limit_rules){.kind = LIMIT_BUCKET, .period_ms = 60000,
 *                                         .limits = {3000, 90000}, .start_share = 0.1}, now_ms);
 *     bool admitted = limit_book_take(&b, n_tokens, now_ms, &retry_ms);
 *     limit_book_headers(&b, now_ms, text, sizeof text);
 *
 * A request that is admitted is counted whatever becomes of it afterwards. One that is not costs
 * nothing, and is noted: a client that keeps the limits has none of them.
 *
 * Between limit_book_mark() and limit_book_unmark() it is noted what was used and what could have
 * been: of a bucket all that was left at the mark and all that was filled in since; of windows those
 * that lie between the marks as a whole.
 */
#ifndef RT_TESTS_LIMIT_BOOK_H
#define RT_TESTS_LIMIT_BOOK_H

#include "common/base/status.h"

typedef enum limit_kind { LIMIT_BUCKET, LIMIT_WINDOW } limit_kind;
typedef enum limit_side { LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_SIDES } limit_side;

typedef struct limit_rules {
    limit_kind kind;
    uint64_t period_ms;
    uint64_t limits[LIMIT_SIDES]; /* per period; 0: none */
    double start_share;           /* of the limit that is there at first */
} limit_rules;

typedef struct limit_book {
    limit_rules rules;
    double left[LIMIT_SIDES];
    uint64_t at_ms; /* bucket: when `left` was right; window: its begin */
    uint64_t n_admitted, n_tokens, n_over[LIMIT_SIDES];
    uint64_t first_ms, last_ms; /* of the requests, admitted or not */
    /* Between the marks. */
    bool is_marked, is_measuring;
    uint64_t mark_ms, until_ms;
    double used[LIMIT_SIDES], possible[LIMIT_SIDES];
    double used_open[LIMIT_SIDES]; /* of the window that is open */
} limit_book;

void limit_book_start(limit_book *b, const limit_rules *rules, uint64_t now_ms);
/* False: over a limit, and *retry_ms says when it will not be. */
bool limit_book_take(limit_book *b, uint64_t n_tokens, uint64_t now_ms, uint64_t *retry_ms);
/* "x-ratelimit-limit-requests: 3000\r\n...", resets as Go prints a duration. */
void limit_book_headers(limit_book *b, uint64_t now_ms, char *out, size_t n_out);
void limit_book_mark(limit_book *b, uint64_t now_ms);
void limit_book_unmark(limit_book *b, uint64_t now_ms);
/* Used of what was possible between the marks; 0 without such a limit. */
double limit_book_share(const limit_book *b, limit_side side);

#endif
