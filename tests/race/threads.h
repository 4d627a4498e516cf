/* What the race programs share. Criterion does not start under ThreadSanitizer, so each is a plain
 * main(): it lets threads do at once whatever the program's own threads may, and ends with 0. What
 * it looks for is told by ThreadSanitizer (./dev race); results are checked as far as they are certain.
 */
#ifndef RT_TESTS_RACE_THREADS_H
#define RT_TESTS_RACE_THREADS_H

#include <pthread.h>

#include "common/base/status.h"

#define RACE_THREADS 4

/* RACE_THREADS threads do `work`; back when all have. */
static inline void race_together(void *(*work)(void *), void *context)
{
    pthread_t threads[RACE_THREADS];
    for (int i = 0; i < RACE_THREADS; i++)
        RT_ASSERT(pthread_create(&threads[i], NULL, work, context) == 0);
    for (int i = 0; i < RACE_THREADS; i++) RT_ASSERT(pthread_join(threads[i], NULL) == 0);
}

#endif
