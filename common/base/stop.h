/* Stopping on request: SIGINT and SIGTERM ask to drain, a second one asks to stop at once.
 *
 *     rt_stop_install();
 *     while (rt_stop_requested() == RT_STOP_NONE) ...
 */
#ifndef RT_BASE_STOP_H
#define RT_BASE_STOP_H

typedef enum rt_stop {
    RT_STOP_NONE = 0,
    RT_STOP_DRAIN = 1, /* finish what is in hand, hand back the rest, exit 0 */
    RT_STOP_NOW = 2,   /* leave as soon as the state on disk is whole */
} rt_stop;

/* From now on SIGINT and SIGTERM are requests; SIGPIPE is ignored. Call it once, in the main thread,
 * before any other thread is made: its system calls are interrupted, and those of no other. No thread
 * runs a handler while it computes (stop.c says why that matters). */
void rt_stop_install(void);
/* In a child between fork and exec: signals as a program expects to find them. Async-signal-safe. */
void rt_stop_uninstall(void);
rt_stop rt_stop_requested(void);
/* What a signal does, for the launcher and for tests. */
void rt_stop_request(void);

#endif
