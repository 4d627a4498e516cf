/* Numbers below 2^48 in six bytes each: offsets into files, one for each example of a large corpus.
 *
 *     unsigned char *offsets = rt_calloc(n, PACKED48_BYTES);
 *     packed48_set(offsets, i, 4711);
 *     uint64_t at = packed48_get(offsets, i);
 */
#ifndef RT_BASE_PACKED48_H
#define RT_BASE_PACKED48_H

#include <stddef.h>
#include <stdint.h>

#define PACKED48_BYTES 6
#define PACKED48_MAX   ((UINT64_C(1) << 48) - 1)

uint64_t packed48_get(const unsigned char *numbers, size_t i);
/* A number above PACKED48_MAX is a bug. */
void packed48_set(unsigned char *numbers, size_t i, uint64_t number);

#endif
