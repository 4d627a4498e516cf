#include "common/base/packed48.h"

#include <string.h>

#include "common/base/status.h"

/* The low four bytes and the high two, each in the machine's order: two plain loads. */
uint64_t packed48_get(const unsigned char *numbers, size_t i)
{
    uint32_t low;
    uint16_t high;
    memcpy(&low, numbers + i * PACKED48_BYTES, sizeof low);
    memcpy(&high, numbers + i * PACKED48_BYTES + sizeof low, sizeof high);
    return (uint64_t)high << 32 | low;
}

void packed48_set(unsigned char *numbers, size_t i, uint64_t number)
{
    uint32_t low = (uint32_t)number;
    uint16_t high = (uint16_t)(number >> 32);
    RT_ASSERT(number <= PACKED48_MAX);
    memcpy(numbers + i * PACKED48_BYTES, &low, sizeof low);
    memcpy(numbers + i * PACKED48_BYTES + sizeof low, &high, sizeof high);
}
