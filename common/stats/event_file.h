/* An event file, as TensorBoard reads it: curves of numbers by tag, each value at a step.
 *
 *     if ((st = event_file_new(folder, &f, err)) != RT_OK) goto out;
 *     event_scalar s[] = {{"train/loss", 1.25}, {"train/grad_norm", 0.9}};
 *     st = event_file_add(f, step, now_s, s, 2, err);
 *     event_file_free(f);
 *
 * The file is made with the first value, and each start makes its own:
 * <folder>/events.out.tfevents.<seconds>.<host>.<pid>. A record is
 *
 *     length (8 bytes, little-endian) | check of the length (4) | Event (protobuf) | check of the Event (4)
 *
 * a check being the CRC-32C of those bytes, turned right by 15 bits, plus 0xa282ead8. The whole record is
 * written at once: a reader beside us sees whole ones, and at most the last is torn by a crash.
 */
#ifndef RT_STATS_EVENT_FILE_H
#define RT_STATS_EVENT_FILE_H

#include "common/base/bytes.h"

typedef struct event_file event_file;

typedef struct event_scalar {
    const char *tag;
    double value; /* one that is not finite is left out */
} event_scalar;

/* Opens nothing yet. Returns new; event_file_free(). */
RT_MUST_USE rt_status event_file_new(const char *folder, event_file **out, rt_error *err);
void event_file_free(event_file *f);
/* wall_s: seconds since 1970. On an error nothing of the record is left in the file. */
RT_MUST_USE rt_status event_file_add(event_file *f, uint64_t step, double wall_s,
                                     const event_scalar *scalars, size_t n, rt_error *err);

#endif
