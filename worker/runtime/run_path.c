#include "worker/runtime/run_path.h"

#include <stdio.h>

rt_status run_path(const config *c, const char *name, char *out, size_t n_out, rt_error *err)
{
    int n = c->run_dir[0] != '\0' ? snprintf(out, n_out, "%s/%s", c->run_dir, name)
                                  : snprintf(out, n_out, "runs/%s/%s", c->name, name);
    if (n < 0 || (size_t)n >= n_out)
        return rt_fail(err, RT_FULL, "path of %s in the folder of run %s: longer than %zu bytes",
                       name, c->name, n_out - 1);
    /* An empty name means the folder itself. */
    if (name[0] == '\0' && n > 1) out[n - 1] = '\0';
    return RT_OK;
}
