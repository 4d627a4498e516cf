#include "common/text/token_estimate.h"

#include "common/text/utf8.h"

/* Quarters of a token. */
static uint64_t quarters_of(const char *bytes, size_t n, uint32_t code)
{
    if (code < 0x250) return 1;
    return utf8_columns(bytes, n) == 2 ? 4 : 2;
}

uint64_t token_estimate(const char *text, size_t n)
{
    uint64_t quarters = 0;
    for (size_t i = 0, next = 0; i < n; i = next) {
        uint32_t code = utf8_next(text, n, &next);
        quarters += quarters_of(text + i, next - i, code);
    }
    return (quarters + 3) / 4;
}
