#include "tests/support/temp_folder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

char *temp_folder_new(void)
{
    char path[PATH_MAX];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/retort-test-XXXXXX", base == NULL ? "/tmp" : base);
    RT_ASSERT(mkdtemp(path) != NULL);
    char *copy = rt_strndup(path, strlen(path));
    RT_ASSERT(copy != NULL);
    return copy;
}

void temp_folder_free(char *folder)
{
    if (folder == NULL) return;
    RT_ASSERT(rt_fs_remove_tree(folder, NULL) == RT_OK);
    free(folder);
}

const char *temp_folder_path(const char *folder, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    RT_ASSERT(rt_fs_join(path, PATH_MAX, folder, name, NULL) == RT_OK);
    return path;
}

void temp_folder_write(const char *folder, const char *name, const void *bytes, size_t n)
{
    int fd = open(temp_folder_path(folder, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    RT_ASSERT(fd >= 0);
    RT_ASSERT(rt_fs_write_all(fd, bytes, n, name, NULL) == RT_OK);
    close(fd);
}

void temp_folder_write_text(const char *folder, const char *name, const char *text)
{
    temp_folder_write(folder, name, text, strlen(text));
}

void temp_folder_read(const char *folder, const char *name, rt_buf *out)
{
    RT_ASSERT(rt_fs_read(temp_folder_path(folder, name), 1u << 30, out, NULL) == RT_OK);
}
