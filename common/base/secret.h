/* Secrets in memory: out of core files, out of swap where the system allows it, wiped when freed.
 *
 *     char *key = rt_secret_new(41);
 *     ...
 *     rt_secret_free(key, 41);
 *
 * Libraries keep copies of keys where nobody can mark them, so a process that holds secrets also
 * writes no core file at all: rt_secret_no_core().
 */
#ifndef RT_BASE_SECRET_H
#define RT_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* n_bytes of zeros on pages of their own. Returns new; rt_secret_free() with the same size. NULL:
 * no memory. */
void *rt_secret_new(size_t n_bytes);
void rt_secret_free(void *secret, size_t n_bytes);

/* From now on this process leaves no core file and no memory in a crash report, nor do the processes
 * that it starts. Unless peers_read_memory, other processes of the same user can no longer look into
 * it either (ptrace, /proc/PID/mem and /proc/PID/fd); shared_block.h needs the latter. What the
 * system does not offer is left out. */
void rt_secret_no_core(bool peers_read_memory);

#endif
