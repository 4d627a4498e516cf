#include "common/text/protobuf_walk.h"

#include <string.h>

static bool read_varint(protobuf_cursor *c, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
        unsigned char byte = *c->p++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

bool protobuf_next(protobuf_cursor *c, protobuf_field *out)
{
    uint64_t key, n;
    if (!read_varint(c, &key) || key >> 3 == 0) return false;
    *out = (protobuf_field){.number = key >> 3, .wire_type = (unsigned)(key & 7)};
    switch (out->wire_type) {
    case PROTOBUF_VARINT: return read_varint(c, &out->value);
    case PROTOBUF_FIXED64: n = 8; break;
    case PROTOBUF_BYTES:
        if (!read_varint(c, &n)) return false;
        break;
    case PROTOBUF_FIXED32: n = 4; break;
    default: return false;
    }
    if (n > (uint64_t)(c->end - c->p)) return false;
    out->bytes = (protobuf_cursor){.p = c->p, .end = c->p + n};
    c->p += n;
    return true;
}

float protobuf_float(const protobuf_field *f)
{
    float x = 0;
    if (f->wire_type != PROTOBUF_FIXED32) return 0;
    const unsigned char *b = f->bytes.p;
    uint32_t bits =
        (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static rt_status add_raw_varint(rt_buf *out, uint64_t value, rt_error *err)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (unsigned char)(value & 0x7F);
        value >>= 7;
        if (value != 0) bytes[n] |= 0x80;
        n++;
    } while (value != 0);
    return rt_buf_add(out, bytes, n, err);
}

rt_status protobuf_add_varint(rt_buf *out, uint64_t number, uint64_t value, rt_error *err)
{
    rt_status st = add_raw_varint(out, number << 3 | PROTOBUF_VARINT, err);
    return st == RT_OK ? add_raw_varint(out, value, err) : st;
}

rt_status protobuf_add_float(rt_buf *out, uint64_t number, float value, rt_error *err)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                    (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
    rt_status st = add_raw_varint(out, number << 3 | PROTOBUF_FIXED32, err);
    return st == RT_OK ? rt_buf_add(out, bytes, sizeof bytes, err) : st;
}

rt_status protobuf_add_bytes(rt_buf *out, uint64_t number, const void *bytes, size_t n,
                             rt_error *err)
{
    rt_status st = add_raw_varint(out, number << 3 | PROTOBUF_BYTES, err);
    if (st == RT_OK) st = add_raw_varint(out, n, err);
    return st == RT_OK ? rt_buf_add(out, bytes, n, err) : st;
}
