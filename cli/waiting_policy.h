/* How threads that share a computation wait for each other. */
#ifndef RT_CLI_WAITING_POLICY_H
#define RT_CLI_WAITING_POLICY_H

/* The threads of OpenMP meet after every loop and every matrix product, hundreds of times in a step.
 * By default each spins for milliseconds before it sleeps: on a processor that another program also
 * wants, it thereby keeps out the very thread it waits for, and a step takes several times as long as
 * with one thread. So they spin briefly: long enough for a meeting that is on time.
 *
 * The library of OpenMP reads its environment before main() begins. So this starts the program again,
 * in the same process, with GOMP_SPINCOUNT set; unless it is set already, or OMP_WAIT_POLICY is.
 * Returns when nothing has to be done or nothing can be.
 *
 * Measured with bench/bench_gradient threads=2 on 2 cores that other programs used too: 257 tokens/s
 * with the default, 1925 with this, 1922 with OMP_WAIT_POLICY=passive; 2427 with threads=1. */
void waiting_policy_apply(char *const *argv);

#endif
