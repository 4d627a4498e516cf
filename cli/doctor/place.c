#include "cli/doctor/place.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* "a/b/" to "a", "a" to ".", "/a" to "/". */
static void go_up(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') path[--n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        memcpy(path, ".", 2);
    else
        slash[slash == path] = '\0';
}

static rt_status find_folder(const char *path, place *out, struct stat *info, rt_error *err)
{
    int n = snprintf(out->folder, sizeof out->folder, "%s", path);
    if (n < 0 || (size_t)n >= sizeof out->folder)
        return rt_fail(err, RT_IO, "%.100s...: the path is too long", path);
    out->exists = true;
    while (stat(out->folder, info) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return rt_fail(err, RT_IO, "%s: %s", out->folder, strerror(errno));
        bool is_top = strcmp(out->folder, ".") == 0 || strcmp(out->folder, "/") == 0;
        if (is_top) return rt_fail(err, RT_IO, "%s: %s", out->folder, strerror(errno));
        go_up(out->folder);
        out->exists = false;
    }
    if (!S_ISDIR(info->st_mode))
        return rt_fail(err, RT_IO, "%s: is in the way: a file and no folder", out->folder);
    return RT_OK;
}

static rt_status try_to_write(const char *folder, rt_error *err)
{
    char name[PATH_MAX + 32];
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        snprintf(name, sizeof name, "%s/.retort-doctor-XXXXXX", folder);
        if ((fd = mkostemp(name, O_CLOEXEC)) >= 0) unlink(name);
    }
    if (fd < 0) return rt_fail(err, RT_IO, "write in %s: %s", folder, strerror(errno));
    close(fd);
    return RT_OK;
}

rt_status place_look(const char *path, place *out, rt_error *err)
{
    struct stat info;
    struct statvfs room;
    place p = {0};
    rt_status st = find_folder(path, &p, &info, err);
    if (st == RT_OK) st = try_to_write(p.folder, err);
    if (st != RT_OK) return st;
    p.device = info.st_dev;
    if (statvfs(p.folder, &room) != 0)
        return rt_fail(err, RT_IO, "free room at %s: %s", p.folder, strerror(errno));
    p.n_free = (uint64_t)room.f_bavail * room.f_frsize;
    *out = p;
    return RT_OK;
}

uint64_t place_bytes(const char *folder)
{
    uint64_t sum = 0;
    char *const roots[] = {(char *)(uintptr_t)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (walk == NULL) return 0;
    for (FTSENT *e; (e = fts_read(walk)) != NULL;)
        if (e->fts_info == FTS_F) sum += (uint64_t)e->fts_statp->st_blocks * 512;
    fts_close(walk);
    return sum;
}
