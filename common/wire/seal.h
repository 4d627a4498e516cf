/* A check behind bytes that travel: the field 31 (fixed64) that any message may have, always its last
 * one. Readers that do not know it skip it; messages of senders that do not know it are read without.
 *
 *     wire_seal(&bytes, err)                          ... a sender
 *     wire_unseal(bytes, &n, err)                     ... a reader; [0, n) is the message
 *
 * TCP's own check is 16 bits wide, and none is left between a proxy, a driver and the memory of either
 * side: a turned bit of a gradient would be trained on, one of an address would be connected to.
 */
#ifndef RT_WIRE_SEAL_H
#define RT_WIRE_SEAL_H

#include "common/base/bytes.h"

#define WIRE_SEAL_BYTES 10

/* Bytes that count in; begin with `check` 0. */
uint64_t wire_seal_mix(const void *bytes, size_t n, uint64_t check);
RT_MUST_USE rt_status wire_seal_add(rt_buf *bytes, uint64_t check, rt_error *err);
/* False when there is none. Else *n loses it. */
bool wire_seal_take(const void *bytes, size_t *n, uint64_t *check);

/* A message that has no frames. */
RT_MUST_USE rt_status wire_seal(rt_buf *bytes, rt_error *err);
/* RT_CORRUPT when the bytes are not those that were sealed. */
RT_MUST_USE rt_status wire_unseal(const void *bytes, size_t *n, rt_error *err);

#endif
