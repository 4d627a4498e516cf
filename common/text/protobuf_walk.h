/* A walk over the fields of a protobuf message in memory, without a schema. Internal to
 * common/text, which looks into sentencepiece models before and beside their library.
 *
 *     protobuf_cursor c = {.p = bytes, .end = bytes + n};
 *     protobuf_field f;
 *     while (c.p < c.end) {
 *         if (!protobuf_next(&c, &f)) return damaged;
 *         if (f.number == 1 && f.wire_type == PROTOBUF_BYTES) use(f.bytes);
 *     }
 */
#ifndef RT_TEXT_PROTOBUF_WALK_H
#define RT_TEXT_PROTOBUF_WALK_H

#include "common/base/bytes.h"

enum { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

typedef struct protobuf_cursor {
    const unsigned char *p;
    const unsigned char *end;
} protobuf_cursor;

typedef struct protobuf_field {
    uint64_t number;
    unsigned wire_type;
    uint64_t value;        /* PROTOBUF_VARINT */
    protobuf_cursor bytes; /* of the other types: borrowed from the message */
} protobuf_field;

/* The field at the cursor, which moves behind it; false for bytes that are no field. */
bool protobuf_next(protobuf_cursor *c, protobuf_field *out);
/* Little-endian bytes of a PROTOBUF_FIXED32 as a float; 0 for another type. */
float protobuf_float(const protobuf_field *f);

/* Append one field. */
RT_MUST_USE rt_status protobuf_add_varint(rt_buf *out, uint64_t number, uint64_t value,
                                          rt_error *err);
RT_MUST_USE rt_status protobuf_add_float(rt_buf *out, uint64_t number, float value, rt_error *err);
RT_MUST_USE rt_status protobuf_add_bytes(rt_buf *out, uint64_t number, const void *bytes, size_t n,
                                         rt_error *err);

#endif
