#include "common/corpus/source_list.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fs.h"

void source_list_free(source_list *list)
{
    if (list == NULL) return;
    for (size_t i = 0; i < list->n; i++) free(list->files[i].path);
    free(list->files);
    *list = (source_list){0};
}

static rt_status add_path(source_list *list, const char *path, rt_error *err)
{
    struct stat info;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->files[i].path, path) == 0) return RT_OK;
    if (stat(path, &info) != 0) return rt_fail(err, RT_IO, "stat %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return rt_fail(err, RT_INVALID, "%s is a folder; name its files, such as %s/*.jsonl", path,
                       path);
    source_file *files = realloc(list->files, (list->n + 1) * sizeof *files);
    if (files == NULL) return rt_fail(err, RT_NOMEM, "list of %zu files", list->n + 1);
    list->files = files;
    source_file file = {.path = rt_strndup(path, strlen(path)),
                        .n_bytes = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0,
                        .mtime_ns =
                            (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec};
    if (file.path == NULL) return rt_fail(err, RT_NOMEM, "path %s", path);
    list->files[list->n++] = file;
    return RT_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static rt_status add_pattern(source_list *list, const char *pattern, rt_error *err)
{
    glob_t found = {0};
    if (rt_fs_exists(pattern)) return add_path(list, pattern, err);
    /* glob(3) would sort by the locale: another machine, another order. */
    int why = glob(pattern, GLOB_NOSORT, NULL, &found);
    rt_status st = RT_OK;
    if (why == GLOB_NOMATCH)
        st = rt_fail(err, RT_NOTFOUND, "no file matches '%s'", pattern);
    else if (why == GLOB_NOSPACE)
        st = rt_fail(err, RT_NOMEM, "expand '%s'", pattern);
    else if (why != 0)
        st = rt_fail(err, RT_IO, "expand '%s': %s", pattern, strerror(errno));
    if (st == RT_OK) qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
    for (size_t i = 0; st == RT_OK && i < found.gl_pathc; i++)
        st = add_path(list, found.gl_pathv[i], err);
    globfree(&found);
    return st;
}

rt_status source_list_expand(const char *const *patterns, size_t n, source_list *out, rt_error *err)
{
    rt_status st = RT_OK;
    source_list list = {0};
    if (n == 0) return rt_fail(err, RT_INVALID, "no files named");
    for (size_t i = 0; st == RT_OK && i < n; i++) st = add_pattern(&list, patterns[i], err);
    if (st != RT_OK) {
        source_list_free(&list);
        return st;
    }
    *out = list;
    return RT_OK;
}
