/* Threads of our own loops (OpenMP) and of BLAS. Work is cut into fixed parts whose results do not
 * meet, so our own loops give the same bits for any number of threads.
 *
 *     parallel_enter();          // first line of every public function that computes
 *     float *work = all_work + parallel_thread() * n_work;
 */
#ifndef RT_NN_PARALLEL_H
#define RT_NN_PARALLEL_H

#include <stddef.h>

/* Make the chosen thread count (nn_set_threads(), else 1) hold for the calling thread: OpenMP
 * keeps that setting per thread, and would start with one thread per core. */
void parallel_enter(void);
/* Threads that a parallel loop may use, and the number of the calling one within it. */
size_t parallel_threads(void);
size_t parallel_thread(void);

#endif
