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

/* Install handlers for SIGINT and SIGTERM; SIGPIPE is ignored. System calls are interrupted. */
void rt_stop_install(void);
rt_stop rt_stop_requested(void);
/* What a signal does, for the launcher and for tests. */
void rt_stop_request(void);

#endif
