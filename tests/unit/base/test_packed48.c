#include "common/base/packed48.h"

#include <criterion/criterion.h>

Test(packed48, numbers_up_to_the_largest_come_back_and_leave_their_neighbours)
{
    static const uint64_t numbers[] = {
        0, 1, UINT16_MAX, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(0x123456789abc), PACKED48_MAX};
    enum { N = sizeof numbers / sizeof *numbers };
    unsigned char packed[N * PACKED48_BYTES];
    for (int round = 0; round < 2; round++) { /* forwards, then backwards */
        for (size_t k = 0; k < N; k++) {
            size_t i = round == 0 ? k : N - 1 - k;
            packed48_set(packed, i, numbers[i]);
        }
        for (size_t i = 0; i < N; i++) cr_expect_eq(packed48_get(packed, i), numbers[i]);
    }
}
