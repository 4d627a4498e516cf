#include "cli/projection.h"

#include <math.h>

/* Beyond what any account can pay, and still exact as JSON. */
#define TOKENS_MAX 9e15

static uint64_t tokens(double n)
{
    return n >= TOKENS_MAX ? (uint64_t)TOKENS_MAX : (uint64_t)ceil(n);
}

static double cost(const projection_basis *b, uint64_t n_prompt, uint64_t n_completion)
{
    return ((double)n_prompt * b->price_input + (double)n_completion * b->price_output) / 1e6;
}

projection project(const projection_basis *b)
{
    double n = (double)b->n_rows, n_max = n * (double)b->attempts_max;
    double answer = b->answer_tokens_likely;
    if (answer <= 0 || answer > (double)b->answer_tokens_max) answer = (double)b->answer_tokens_max;
    projection p = {.n_prompt_likely = tokens(n * b->prompt_tokens_mean),
                    .n_prompt_max = tokens(n_max * b->prompt_tokens_mean),
                    .n_completion_likely = tokens(n * answer),
                    .n_completion_max = tokens(n_max * (double)b->answer_tokens_max),
                    .is_priced = b->price_input > 0 || b->price_output > 0};
    p.cost_likely = cost(b, p.n_prompt_likely, p.n_completion_likely);
    p.cost_max = cost(b, p.n_prompt_max, p.n_completion_max);
    return p;
}
