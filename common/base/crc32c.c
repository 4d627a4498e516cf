#include "common/base/crc32c.h"

#define POLYNOMIAL 0x82F63B78u /* 0x1EDC6F41, bits reversed */

uint32_t rt_crc32c(const void *bytes, size_t n_bytes)
{
    const unsigned char *p = bytes;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1)));
    }
    return ~crc;
}
