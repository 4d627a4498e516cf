/* Rows with a true answer, to score on. */
#ifndef RT_WORKER_EVALUATE_GOLD_ROWS_H
#define RT_WORKER_EVALUATE_GOLD_ROWS_H

#include "common/base/hash.h"
#include "common/conf/config.h"

typedef struct gold_row {
    rt_id id; /* as the corpus would name it: the same input of the same task */
    char *input;
    char *gold;
    char *source_id; /* "" = none */
} gold_row;

/* Owns everything; zero-initialise; gold_rows_free(). */
typedef struct gold_rows {
    gold_row *rows;
    size_t n;
    size_t capacity;
    uint64_t n_without_gold; /* passed over */
    uint64_t n_malformed;    /* passed over; the first is named in the log */
} gold_rows;
void gold_rows_free(gold_rows *rows);

/* Read eval.files, or `file` when it is not NULL. n_max 0: all. RT_INVALID when neither is given
 * or no template for the true answer is known, RT_CORRUPT when no row can be used. */
RT_MUST_USE rt_status gold_rows_read(const config *c, const char *file, uint64_t n_max,
                                     gold_rows *out, rt_error *err);

#endif
