#include "common/wire/seal.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/hash.h"

/* Field 31, type fixed64, as protobuf writes it. */
static const uint8_t tag[2] = {0xf9, 0x01};

uint64_t wire_seal_mix(const void *bytes, size_t n, uint64_t check)
{
    return rt_hash64(bytes, n, check);
}

rt_status wire_seal_add(rt_buf *bytes, uint64_t check, rt_error *err)
{
    uint8_t seal[WIRE_SEAL_BYTES];
    memcpy(seal, tag, sizeof tag);
    for (size_t i = 0; i < 8; i++) seal[sizeof tag + i] = (uint8_t)(check >> 8 * i);
    return rt_buf_add(bytes, seal, sizeof seal, err);
}

bool wire_seal_take(const void *bytes, size_t *n, uint64_t *check)
{
    if (*n < WIRE_SEAL_BYTES) return false;
    const uint8_t *seal = (const uint8_t *)bytes + *n - WIRE_SEAL_BYTES;
    if (memcmp(seal, tag, sizeof tag) != 0) return false;
    *check = 0;
    for (size_t i = 0; i < 8; i++) *check |= (uint64_t)seal[sizeof tag + i] << 8 * i;
    *n -= WIRE_SEAL_BYTES;
    return true;
}

rt_status wire_seal(rt_buf *bytes, rt_error *err)
{
    return wire_seal_add(bytes, wire_seal_mix(bytes->data, bytes->n, 0), err);
}

rt_status wire_unseal(const void *bytes, size_t *n, rt_error *err)
{
    uint64_t check = 0;
    if (!wire_seal_take(bytes, n, &check)) return RT_OK;
    uint64_t found = wire_seal_mix(bytes, *n, 0);
    if (found == check) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "%zu bytes whose check is %016" PRIx64 ", they were sent with %016" PRIx64, *n,
                   found, check);
}
