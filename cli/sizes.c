#include "cli/sizes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/bytes.h"

rt_status size_parse(const char *text, uint64_t *out, rt_error *err)
{
    static const struct {
        const char *unit;
        uint64_t n;
    } units[] = {
        {"", 1},
        {"b", 1},
        {"kb", 1000},
        {"mb", 1000000},
        {"gb", 1000000000},
        {"tb", 1000000000000},
        {"kib", (uint64_t)1 << 10},
        {"mib", (uint64_t)1 << 20},
        {"gib", (uint64_t)1 << 30},
        {"tib", (uint64_t)1 << 40},
    };
    char digits[24];
    uint64_t value = 0;
    size_t n = strspn(text, "0123456789"), n_bytes = 0;
    snprintf(digits, sizeof digits, "%.*s", (int)RT_MIN(n, sizeof digits - 1), text);
    const char *unit = text + n;
    if (*unit == ' ') unit++;
    for (size_t i = 0; n < sizeof digits && rt_parse_u64(digits, &value) && i < RT_COUNT(units);
         i++) {
        if (strcasecmp(unit, units[i].unit) != 0) continue;
        if (!rt_checked_mul(value, units[i].n, &n_bytes)) break;
        *out = n_bytes;
        return RT_OK;
    }
    return rt_fail(err, RT_INVALID, "found '%.64s', expected a size such as 5GB, 500MB or 0", text);
}

void size_print(double n_bytes, char out[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    while (n_bytes >= 1000 && i + 1 < RT_COUNT(units)) {
        n_bytes /= 1024;
        i++;
    }
    snprintf(out, 24, "%.*f %s", i == 0 || n_bytes >= 100 ? 0 : (n_bytes >= 10 ? 1 : 2), n_bytes,
             units[i]);
}
