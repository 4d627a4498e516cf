/* When a step waits for somebody who is much slower than the others: what is missing is then given to
 * a second student. Pure.
 *
 *     straggler_see(&s, version, gathers, now_ms);        // every turn
 *     if (straggler_is_due(&s, now_ms)) ... publish what is missing once more ...
 *
 * Measured is how long a step is gathered; the median of the last ones says what is usual. Backups of
 * one step come after twice as long each time. The first result counts, the other is a repeat.
 */
#ifndef RT_COORDINATOR_STRAGGLER_H
#define RT_COORDINATOR_STRAGGLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRAGGLER_STEPS     32   /* whose times are kept */
#define STRAGGLER_STEPS_MIN 5    /* before any is slow */
#define STRAGGLER_LEAST_MS  2000 /* nothing below is worth a second student */

/* Zero-initialise and set `factor`; everything else is the module's. */
typedef struct straggler {
    double factor; /* of the median; 0: off */
    uint64_t step_ms[STRAGGLER_STEPS];
    size_t n_steps; /* seen; the newest is at (n_steps - 1) % STRAGGLER_STEPS */
    uint64_t version;
    bool open; /* the step of `version` is being gathered */
    uint64_t opened_ms;
    unsigned n_given; /* backups of this step */
} straggler;

/* `gathers`: the step of `version` is being gathered. Pauses between (marks) count for no step. */
void straggler_see(straggler *s, uint64_t version, bool gathers, uint64_t now_ms);
/* Median of the last steps; 0 before there are enough. */
uint64_t straggler_median_ms(const straggler *s);
/* True once each time that backups of this step are due. */
bool straggler_is_due(straggler *s, uint64_t now_ms);

#endif
