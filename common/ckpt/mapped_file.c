#include "common/ckpt/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

rt_status mapped_file_open(const char *path, mapped_file *out, rt_error *err)
{
    struct stat info;
    mapped_file f = {0};
    rt_status st = RT_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rt_fail(err, errno == ENOENT ? RT_NOTFOUND : RT_IO, "open %s: %s", path,
                       strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        st = rt_fail(err, RT_IO, "%s is not a regular file", path);
    } else if (info.st_size > 0) {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            st = rt_fail(err, RT_IO, "map %s: %s", path, strerror(errno));
        else
            f = (mapped_file){.bytes = map, .n_bytes = (size_t)info.st_size, .mapped = true};
    }
    close(fd);
    if (st == RT_OK) *out = f;
    return st;
}

void mapped_file_close(mapped_file *f)
{
    if (f->mapped) munmap((void *)(uintptr_t)f->bytes, f->n_bytes);
    *f = (mapped_file){0};
}
