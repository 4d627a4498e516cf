#include <criterion/criterion.h>
#include <string.h>

#include "common/base/crc32c.h"

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
Test(crc32c, agrees_with_published_values)
{
    unsigned char bytes[32];
    cr_expect_eq(rt_crc32c("", 0), 0u);
    cr_expect_eq(rt_crc32c("123456789", 9), 0xE3069283u);
    memset(bytes, 0, sizeof bytes);
    cr_expect_eq(rt_crc32c(bytes, sizeof bytes), 0x8A9136AAu);
    memset(bytes, 0xFF, sizeof bytes);
    cr_expect_eq(rt_crc32c(bytes, sizeof bytes), 0x62A8AB43u);
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
    cr_expect_eq(rt_crc32c(bytes, sizeof bytes), 0x46DD794Eu);
}
