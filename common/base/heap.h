/* Large blocks of memory: those that go back to the system when they are freed, and those that tensors
 * live in.
 *
 * glibc learns from the first large block that is freed to keep the like on its heap. In a process
 * that strangers can talk to they choose what is learnt: a frame that promises 16 MiB is allocated
 * before it comes, and a minute of such promises left holes of tens of MB between what is in use.
 */
#ifndef RT_BASE_HEAP_H
#define RT_BASE_HEAP_H

#include <stddef.h>

/* From now on every block of 128 KiB or more is a mapping of its own. Call once, early. Not for
 * processes that move tensors: fetching zeroed pages costs them half their speed. */
void rt_heap_return_large(void);

/* What was freed goes back to the system, also from between what is in use. Takes some milliseconds. */
void rt_heap_trim(void);

/* n_bytes that start at a line of the cache, not cleared; NULL without memory; free() frees them.
 * Large ones ask for huge pages: touching a page for the first time costs a fault, and reading columns
 * of a cache that spans thousands of small pages costs a look into the page table each. */
void *rt_heap_tensors(size_t n_bytes);

#endif
