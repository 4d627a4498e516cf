/* Which files a corpus is: patterns in, paths out, always in one order. */
#ifndef RT_CORPUS_SOURCE_LIST_H
#define RT_CORPUS_SOURCE_LIST_H

#include "common/base/bytes.h"

typedef struct source_file {
    char *path;
    uint64_t n_bytes; /* 0 for what is not a regular file, such as a pipe */
    int64_t mtime_ns;
} source_file;

/* Owns the paths; zero-initialise; source_list_free(). */
typedef struct source_list {
    source_file *files;
    size_t n;
} source_list;

/* Expand globs: patterns in the order given, matches of one sorted by their bytes, a path that came
 * before left out. A name that exists as it stands is never read as a pattern. RT_NOTFOUND names a
 * pattern that matches nothing, RT_INVALID a folder. */
RT_MUST_USE rt_status source_list_expand(const char *const *patterns, size_t n, source_list *out,
                                         rt_error *err);
void source_list_free(source_list *list);

#endif
