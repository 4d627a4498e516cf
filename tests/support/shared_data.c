#include "tests/support/shared_data.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/fs.h"

bool shared_data_path(const char *name, char *out, size_t n_out)
{
    const char *shared = getenv("RT_SHARED"), *root = getenv("RT_SOURCE_DIR");
    if (shared != NULL)
        snprintf(out, n_out, "%s/data/%s", shared, name);
    else
        snprintf(out, n_out, "%s/../shared/data/%s", root == NULL ? "." : root, name);
    if (rt_fs_exists(out)) return true;
    fprintf(stderr, "skipped: %s is not here\n", out);
    return false;
}
