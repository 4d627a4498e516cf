/* The border check: what protobuf-c does not look at.
 *
 * protobuf-c accepts any bytes in a string, any number in an enum, NaN in a double and any count.
 * wire_check() walks a message by its descriptor, so a field added to the contract is checked
 * without a line of code, and the same walk guards both directions: a sender finds out at once
 * what a receiver would refuse.
 */
#ifndef RT_WIRE_CHECK_H
#define RT_WIRE_CHECK_H

#include <protobuf-c/protobuf-c.h>

#include "common/base/bytes.h"

#define WIRE_TEXT_MAX  (8u << 20) /* bytes of one string */
#define WIRE_BYTES_MAX (8u << 20) /* bytes of one bytes field */
#define WIRE_IDS_MAX   (1u << 22) /* token ids of one micro-batch */
#define WIRE_LIST_MAX  (1u << 17) /* examples, parameters, sequences */

/* Strings are UTF-8, lists and texts within their limits, enums known, floats finite. `bad` is the
 * status of a failure: RT_INVALID when encoding, RT_CORRUPT when decoding. */
RT_MUST_USE rt_status wire_check(const ProtobufCMessage *m, rt_status bad, rt_error *err);

/* Unpack with a memory budget in proportion to the input, so that a small message cannot ask for
 * a large heap. Returns new, freed with wire_unpacked_free(); NULL when the bytes do not parse. */
ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n);
void wire_unpacked_free(ProtobufCMessage *m);

/* Check *m, then append its bytes to *out. */
RT_MUST_USE rt_status wire_pack(const ProtobufCMessage *m, size_t n_max, rt_buf *out,
                                rt_error *err);

#endif
