#include "worker/export/replace_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"

static rt_status fail_rename(const char *from, const char *to, rt_error *err)
{
    return rt_fail(err, RT_IO, "rename %s to %s: %s", from, to, strerror(errno));
}

/* The new folder is in its place: what is left of the old one is untidy, no failure. */
static void remove_old(const char *folder)
{
    rt_error err = {0};
    if (rt_fs_remove_tree(folder, &err) != RT_OK)
        rt_log_warn("export.left_behind", "folder=%s error=\"%s\"", folder, err.text);
}

/* Where the file system cannot swap two names: the older one steps aside first. */
static rt_status swap_in_two_steps(const char *from, const char *to, rt_error *err)
{
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof aside, "%s.old-%ld", to, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof aside) return rt_fail(err, RT_FULL, "path too long: %s", to);
    if (rename(to, aside) != 0) return fail_rename(to, aside, err);
    if (rename(from, to) != 0) {
        rt_status st = fail_rename(from, to, err);
        if (rename(aside, to) != 0) return rt_wrap(err, st, "%s is now %s", to, aside);
        return st;
    }
    remove_old(aside);
    return RT_OK;
}

rt_status replace_folder(const char *from, const char *to, rt_error *err)
{
    if (!rt_fs_exists(to)) return rename(from, to) == 0 ? RT_OK : fail_rename(from, to, err);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) != 0)
        return swap_in_two_steps(from, to, err);
    remove_old(from);
    return RT_OK;
}
