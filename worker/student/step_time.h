/* Where a student's time goes: every moment since its first micro-batch belongs to one part.
 *
 *     step_time_switch(&t, STEP_PULL, now_s);        // until the next switch
 *     step_time_move(&t, STEP_PULL, STEP_WAIT, s);   // of it, so much was spent waiting
 *     step_time_take(&t, now_s, seconds);            // what came together since the last take
 *
 * Pure: the time is an argument. Zero-initialise; nothing is counted before the first switch.
 */
#ifndef RT_WORKER_STUDENT_STEP_TIME_H
#define RT_WORKER_STUDENT_STEP_TIME_H

#include <stdbool.h>

typedef enum step_part {
    STEP_WAIT,    /* for a micro-batch or a version, and all that is none of the others */
    STEP_PULL,    /* parameters on their way, once the shard has them */
    STEP_COMPUTE, /* forward and backward */
    STEP_PUSH,    /* handing over the gradient, and waiting for shards to answer */
    STEP_PARTS
} step_part;

typedef struct step_time {
    double seconds[STEP_PARTS];
    double since_s;
    step_part now;
    bool started;
} step_time;

/* From now on, time belongs to `part`. */
void step_time_switch(step_time *t, step_part part, double now_s);
/* Seconds of `from` belong to `to`: at most those since the last take. */
void step_time_move(step_time *t, step_part from, step_part to, double seconds);
/* Writes seconds[STEP_PARTS] since the last take, up to now_s. */
void step_time_take(step_time *t, double now_s, double *seconds);
/* Name of the heartbeat's counter: "wait_seconds" and so on. */
const char *step_part_counter(step_part part);

#endif
