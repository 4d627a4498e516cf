/* Room for connections: strangers who connect and say nothing use up open files until they are sent
 * off, and a process that has none left cannot write what it has to.
 *
 *     rt_open_files_raise();
 *
 * The soft limit of 1,024 is meant for programs that use select(2); nothing here does.
 */
#ifndef RT_BASE_OPEN_FILES_H
#define RT_BASE_OPEN_FILES_H

#include <stdint.h>

#define RT_OPEN_FILES_MAX 65536

/* Raise the soft limit to the hard one, at most RT_OPEN_FILES_MAX; never lowers it. Returns the limit
 * of now, 0 when it is not known. */
uint64_t rt_open_files_raise(void);

#endif
