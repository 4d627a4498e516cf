#include "common/conf/nearest.h"

#include <ctype.h>
#include <string.h>

#include "common/base/status.h"

#define NAME_BYTES_MAX 64

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment distance. Three rows of the usual table are kept: the swap of two
 * neighbours looks two rows back. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= n_b; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t best = before[j - 1] + !same(a[i - 1], b[j - 1]);
            best = RT_MIN(best, before[j] + 1);
            best = RT_MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                best = RT_MIN(best, two_before[j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[n_a % 3][n_b];
}

const char *name_nearest(const char *text, const char *const *names)
{
    const char *nearest = NULL;
    size_t distance_min = 4, n_text = strlen(text);
    if (n_text == 0 || n_text > NAME_BYTES_MAX) return NULL;
    for (; *names != NULL; names++) {
        size_t n = strlen(*names);
        if (n > NAME_BYTES_MAX) continue;
        size_t distance = edit_distance(text, n_text, *names, n);
        if (distance < distance_min && distance * 3 <= RT_MAX(n, n_text)) {
            distance_min = distance;
            nearest = *names;
        }
    }
    return nearest;
}
