/* Large blocks of memory that go back to the system when they are freed.
 *
 * glibc learns from the first large block that is freed to keep the like on its heap. In a process
 * that strangers can talk to they choose what is learnt: a frame that promises 16 MiB is allocated
 * before it comes, and a minute of such promises left holes of tens of MB between what is in use.
 */
#ifndef RT_BASE_HEAP_H
#define RT_BASE_HEAP_H

/* From now on every block of 128 KiB or more is a mapping of its own. Call once, early. Not for
 * processes that move tensors: fetching zeroed pages costs them half their speed. */
void rt_heap_return_large(void);

#endif
