/* Any bytes have a finite value or are refused with a column inside the text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/arithmetic.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    double v = 0.0;
    rt_error err = {0};
    if (arithmetic_evaluate((const char *)bytes, n, &v, &err) == RT_OK) {
        if (!isfinite(v)) abort();
        return 0;
    }
    static const char lead[] = "arithmetic, column ";
    if (strncmp(err.text, lead, sizeof lead - 1) != 0) abort();
    unsigned long column = strtoul(err.text + sizeof lead - 1, NULL, 10);
    if (column < 1 || column > n + 1) abort();
    return 0;
}
