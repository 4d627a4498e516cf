/* What labelling will use and cost, before anything is sent. Pure.
 *
 *     projection p = project(&(projection_basis){.n_rows = 797, .prompt_tokens_mean = 412, ...});
 *     if (p.is_priced) printf("about %.2f, at most %.2f\n", p.cost_likely, p.cost_max);
 *
 * Likely: each text of a row is asked for once and is as long as `answer_tokens_likely`. At most:
 * each fails until its last attempt, each time with the longest answer. A second teacher is projected
 * by itself, on a share of the rows, and added.
 */
#ifndef RT_CLI_PROJECTION_H
#define RT_CLI_PROJECTION_H

#include "common/base/status.h"

typedef struct projection_basis {
    uint64_t n_rows;    /* to be asked about, and paid for */
    uint64_t n_texts;   /* of a row */
    uint64_t n_choices; /* texts that come of one request at most: its prompt is paid once */
    bool two_step;      /* each text takes two requests; the second's prompt holds the thought */
    double prompt_tokens_mean;
    double answer_tokens_likely; /* 0: not known, then as long as may be */
    uint64_t answer_tokens_max, attempts_max;
    bool label_given;                 /* a row may be asked about once more, with its label */
    double price_input, price_output; /* per million tokens; both 0: no prices */
} projection_basis;

typedef struct projection {
    uint64_t n_prompt_likely, n_prompt_max;
    uint64_t n_completion_likely, n_completion_max;
    bool is_priced;
    double cost_likely, cost_max;
} projection;

projection project(const projection_basis *basis);
/* Of two teachers; has a price where one of them has. */
projection projection_sum(const projection *a, const projection *b);
/* So many of n rows are a share of them, 0 to 1; a part of a row is one. */
uint64_t projection_rows(uint64_t n, double share);

#endif
