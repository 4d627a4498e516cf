/* Named places at which a test makes this process fail.
 *
 * Compiled in with the CMake option RT_FAULTS only (preset `faults`); otherwise every call below is
 * nothing at all. Two environment variables choose, so that one command reaches every process of a
 * run:
 *
 *     RETORT_FAULTS="student.mid_push:kill:3,write(labels.jsonl):torn=40:2"
 *     RETORT_FAULTS_DIR=/tmp/faults        what has struck is noted there
 *
 * A rule is POINT:ACTION[=VALUE][:N[:TIMES]]. It strikes at every Nth passing of the point in a
 * process (default: the first), until it has struck TIMES times in all processes together (default:
 * once; 0: without end). Each strike leaves a file POINT.K in the folder, so a test sees from
 * outside that its fault did happen, and a process that was started again is not struck for ever.
 *
 *     kill[=MS]      SIGKILL to itself, so much later
 *     stop           SIGSTOP to itself
 *     delay=MS       sleep
 *     error=ERRNO    ENOSPC or EIO; at points that can fail, half of a write is done before
 *     full           ENOSPC for as long as the file `full` is in the folder
 *     torn=BYTES     of a write: so many bytes of it, then SIGKILL
 *
 * The point of a write is write(TEXT) for every file whose path holds TEXT; that of work on a text is
 * POINT(TEXT) for every text that holds TEXT, such as teacher.renders(poison). A comma inside the brackets belongs to TEXT.
 */
#ifndef RT_BASE_FAULT_POINT_H
#define RT_BASE_FAULT_POINT_H

#include <stddef.h>

#ifdef RT_FAULTS

/* Passing `name`; may not return. Safe from any thread. */
void fault_point(const char *name);

/* Passing `name` with a text in hand: the point is NAME(TEXT). */
void fault_point_about(const char *name, const char *about);

/* Before the n bytes are written to fd, which is the file `path`. Returns 0, or the errno to fail
 * with; then, or before the process dies, a part of the bytes may have been written. */
int fault_write(int fd, const void *bytes, size_t n, const char *path);

/* Before the file `path` is synced: 0, or the errno to fail with. The point is sync(TEXT). */
int fault_sync(const char *path);

#else /* macros, so that a release build has not even the names */

#define fault_point(name)               ((void)0)
#define fault_point_about(name, about)  ((void)0)
#define fault_write(fd, bytes, n, path) 0
#define fault_sync(path)                0

#endif
#endif
