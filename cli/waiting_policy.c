#include "cli/waiting_policy.h"

#include <stdlib.h>
#include <unistd.h>

/* Turns of the waiting loop, about 20 microseconds: what libgomp itself takes once it knows that there
 * are more threads than processors. */
#define SPIN_COUNT "1000"

void waiting_policy_apply(char *const *argv)
{
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL) return;
    if (setenv("GOMP_SPINCOUNT", SPIN_COUNT, 1) != 0) return;
    execv("/proc/self/exe", argv);
}
