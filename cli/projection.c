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
    double n = (double)b->n_rows, mean = b->prompt_tokens_mean;
    double longest = (double)b->answer_tokens_max, answer = b->answer_tokens_likely;
    double n_texts = (double)b->n_texts, n_steps = b->two_step ? 2 : 1;
    /* A thought is told apart from choice to choice. */
    double n_prompts = b->two_step ? n_texts : ceil(n_texts / (double)b->n_choices);
    if (answer <= 0 || answer > longest) answer = longest;
    double n_texts_max = n_texts * (double)b->attempts_max + (b->label_given ? 1 : 0);
    double prompt = n_prompts * (n_steps * mean + (n_steps - 1) * answer);
    double prompt_max = n_texts_max * (n_steps * mean + (n_steps - 1) * longest);
    projection p = {.n_prompt_likely = tokens(n * prompt),
                    .n_prompt_max = tokens(n * prompt_max),
                    .n_completion_likely = tokens(n * n_texts * n_steps * answer),
                    .n_completion_max = tokens(n * n_texts_max * n_steps * longest),
                    .is_priced = b->price_input > 0 || b->price_output > 0};
    p.cost_likely = cost(b, p.n_prompt_likely, p.n_completion_likely);
    p.cost_max = cost(b, p.n_prompt_max, p.n_completion_max);
    return p;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return tokens((double)a + (double)b);
}

projection projection_sum(const projection *a, const projection *b)
{
    return (projection){.n_prompt_likely = sum(a->n_prompt_likely, b->n_prompt_likely),
                        .n_prompt_max = sum(a->n_prompt_max, b->n_prompt_max),
                        .n_completion_likely = sum(a->n_completion_likely, b->n_completion_likely),
                        .n_completion_max = sum(a->n_completion_max, b->n_completion_max),
                        .is_priced = a->is_priced || b->is_priced,
                        .cost_likely = a->cost_likely + b->cost_likely,
                        .cost_max = a->cost_max + b->cost_max};
}

uint64_t projection_rows(uint64_t n, double share)
{
    if (share <= 0) return 0;
    if (share >= 1) return n;
    return RT_MIN(n, (uint64_t)ceil((double)n * share));
}
