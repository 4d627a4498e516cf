/* Where the students' time goes, from the counters of their heartbeats: which part of a step is to
 * be made faster. Pure.
 *
 *     student_time t = student_time_of(members);
 *     share = student_time_share(&t, STUDENT_TIME_PUSH);
 */
#ifndef RT_COORDINATOR_STUDENT_TIME_H
#define RT_COORDINATOR_STUDENT_TIME_H

#include "coordinator/membership.h"

typedef enum student_part {
    STUDENT_TIME_WAIT,
    STUDENT_TIME_PULL,
    STUDENT_TIME_COMPUTE,
    STUDENT_TIME_PUSH,
    STUDENT_TIME_PARTS
} student_part;

typedef struct student_time {
    double seconds[STUDENT_TIME_PARTS];
    double beside_s; /* the shards' work on gradients while students went on: part of no part */
} student_time;

/* Sum over all students, dead ones too as far as they told. A counter that is no time (negative,
 * not finite) counts nothing. */
student_time student_time_of(membership *m);
/* 0 to 1; NaN before any time was told. */
double student_time_share(const student_time *t, student_part part);
/* The same for beside_s: what pushing would have taken besides, had nothing gone on meanwhile. The parts
 * add up to 1 without it. */
double student_time_beside_share(const student_time *t);
/* "wait", "pull", "compute", "push". */
const char *student_part_name(student_part part);

#endif
