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
    for (size_t i = 0; i < n;) {
        size_t from = i;
        uint32_t code = utf8_next(text, n, &i);
        quarters += quarters_of(text + from, i - from, code);
    }
    return (quarters + 3) / 4;
}
