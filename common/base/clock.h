/* Time: the monotonic clock decides, the wall clock only labels.
 *
 * Pure modules never call these: they take `now_ms` as an argument, so tests drive a fake clock.
 */
#ifndef RT_BASE_CLOCK_H
#define RT_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock. Leases, deadlines and heartbeats use only this. */
uint64_t rt_clock_mono_ms(void);

/* Seconds of the monotonic clock with a fraction, for rates. */
double rt_clock_mono_s(void);

/* Milliseconds since 1970 (UTC), for text that people read and for incarnations. */
uint64_t rt_clock_wall_ms(void);

/* Sleep, or return early when a signal arrives. */
void rt_sleep_ms(uint64_t duration_ms);

#endif
