/* What a request can cost at most, and what it did cost. Pure.
 *
 *     price_table prices = price_table_of(config);
 *     cost = price_of(&prices, n_prompt, n_cached, n_completion);
 *
 * In whole 10^-9 of the currency, rounded up for each request, so that sums are exact and a budget
 * is kept to the last digit.
 */
#ifndef RT_WORKER_TEACHER_PRICE_H
#define RT_WORKER_TEACHER_PRICE_H

#include "common/conf/config.h"

#define PRICE_UNIT 1e-9 /* of the currency */
#define PRICE_MAX  (UINT64_C(1) << 53)

/* Per million tokens, in the currency. */
typedef struct price_table {
    double input, cached_input, output;
} price_table;

price_table price_table_of(const config *c);
bool price_is_free(const price_table *p);
/* Cached tokens are among the prompt's. At most PRICE_MAX. */
uint64_t price_of(const price_table *p, uint64_t n_prompt, uint64_t n_cached,
                  uint64_t n_completion);
/* No price of so many tokens or fewer is higher, whatever the server had cached. */
uint64_t price_at_most(const price_table *p, uint64_t n_prompt, uint64_t n_completion);

#endif
