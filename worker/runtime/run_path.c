#include "worker/runtime/run_path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

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

/* Folder that holds `path`, by its name alone, so that a link leads nowhere else. */
static void parent_of(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') path[--n] = '\0';
    char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        memcpy(path + n, "/..", 4);
    else if (slash == NULL)
        memcpy(path, ".", 2);
    else
        slash[slash == path] = '\0';
}

rt_status cache_path(const config *c, char *out, size_t n_out, rt_error *err)
{
    char folder[PATH_MAX + 4] = ""; /* room for parent_of() */
    rt_status st = RT_OK;
    int n = 0;
    if (strcmp(c->cache.dir, "off") == 0) {
        n = snprintf(out, n_out, "%s", "");
    } else if (c->cache.dir[0] != '\0') {
        n = snprintf(out, n_out, "%s", c->cache.dir);
    } else {
        if ((st = run_path(c, "", folder, PATH_MAX, err)) != RT_OK) return st;
        parent_of(folder);
        n = snprintf(out, n_out, "%s%s.answers", folder, strcmp(folder, "/") == 0 ? "" : "/");
    }
    if (n < 0 || (size_t)n >= n_out)
        return rt_fail(err, RT_FULL, "cache.dir: longer than %zu bytes", n_out - 1);
    return RT_OK;
}
