#include "worker/teacher/price.h"

#include <math.h>

/* A million tokens of price 1 cost 10^9 units. */
#define UNITS_PER_TOKEN 1000

price_table price_table_of(const config *c)
{
    const limits_config *l = &c->limits;
    double cached = l->price_cached_input > 0 ? l->price_cached_input : l->price_input;
    return (price_table){l->price_input, cached, l->price_output};
}

bool price_is_free(const price_table *p)
{
    return p->input <= 0 && p->cached_input <= 0 && p->output <= 0;
}

static uint64_t to_units(double tokens_times_price)
{
    double units = ceil(tokens_times_price * UNITS_PER_TOKEN);
    return units < (double)PRICE_MAX ? (uint64_t)units : PRICE_MAX;
}

uint64_t price_of(const price_table *p, uint64_t n_prompt, uint64_t n_cached, uint64_t n_completion)
{
    n_cached = RT_MIN(n_cached, n_prompt);
    uint64_t units =
        to_units((double)(n_prompt - n_cached) * p->input + (double)n_cached * p->cached_input +
                 (double)n_completion * p->output);
    /* Two roundings of nearly the same sum must not break what was promised. */
    return RT_MIN(units, price_at_most(p, n_prompt, n_completion));
}

uint64_t price_at_most(const price_table *p, uint64_t n_prompt, uint64_t n_completion)
{
    return to_units((double)n_prompt * RT_MAX(p->input, p->cached_input) +
                    (double)n_completion * p->output);
}
