#include "common/base/file_watch.h"

#include <sys/stat.h>

static file_watch look(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return (file_watch){0};
    return (file_watch){.device = s.st_dev,
                        .inode = s.st_ino,
                        .n_bytes = (uint64_t)s.st_size,
                        .changed_s = s.st_mtim.tv_sec,
                        .changed_ns = s.st_mtim.tv_nsec};
}

static bool is_same(const file_watch *a, const file_watch *b)
{
    return a->device == b->device && a->inode == b->inode && a->n_bytes == b->n_bytes &&
           a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}

void file_watch_note(file_watch *w, const char *path, uint64_t now_ms)
{
    *w = look(path);
    w->next_ms = now_ms + FILE_WATCH_EVERY_MS;
}

bool file_watch_changed(file_watch *w, const char *path, uint64_t now_ms)
{
    if (now_ms < w->next_ms) return false;
    file_watch before = *w;
    file_watch_note(w, path, now_ms);
    return !is_same(&before, w);
}
