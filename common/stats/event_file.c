#include "common/stats/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/base/fs.h"
#include "proto/tensorboard.pb-c.h"

#define SCALARS_MAX  32
#define FRAME_BEFORE 12 /* length and its check */
#define FRAME_AFTER  4
#define PATH_SIZE    4400

struct event_file {
    char *folder;
    char path[PATH_SIZE]; /* "" until there is something to write */
    int fd;
    rt_buf record;
};

rt_status event_file_new(const char *folder, event_file **out, rt_error *err)
{
    event_file *f = rt_calloc(1, sizeof *f);
    if (f != NULL) f->folder = rt_strndup(folder, strlen(folder));
    if (f == NULL || f->folder == NULL) {
        free(f);
        return rt_fail(err, RT_NOMEM, "%s", folder);
    }
    f->fd = -1;
    *out = f;
    return RT_OK;
}

void event_file_free(event_file *f)
{
    if (f == NULL) return;
    if (f->fd >= 0) close(f->fd);
    rt_buf_free(&f->record);
    free(f->folder);
    free(f);
}

static void put_u32(char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (char)(value >> 8 * i & 0xFF);
}

static uint32_t masked_check(const void *bytes, size_t n)
{
    uint32_t crc = rt_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static rt_status write_record(event_file *f, const Retort__Tensorboard__Event *event, rt_error *err)
{
    size_t n = retort__tensorboard__event__get_packed_size(event);
    rt_buf_clear(&f->record);
    rt_status st = rt_buf_reserve(&f->record, FRAME_BEFORE + n + FRAME_AFTER, err);
    if (st != RT_OK) return st;
    char *at = f->record.data;
    put_u32(at, (uint32_t)n);
    put_u32(at + 4, (uint32_t)((uint64_t)n >> 32));
    put_u32(at + 8, masked_check(at, 8));
    retort__tensorboard__event__pack(event, (uint8_t *)at + FRAME_BEFORE);
    put_u32(at + FRAME_BEFORE + n, masked_check(at + FRAME_BEFORE, n));
    off_t before = lseek(f->fd, 0, SEEK_END);
    st = rt_fs_write_all(f->fd, at, FRAME_BEFORE + n + FRAME_AFTER, f->path, err);
    if (st != RT_OK && before >= 0 &&
        ftruncate(f->fd, before) != 0) { /* torn: begin another file */
        close(f->fd);
        f->fd = -1;
    }
    return st;
}

/* A name that is not taken; readers sort the files of a folder by name. */
static rt_status make_file(event_file *f, double wall_s, rt_error *err)
{
    char host[65] = "", name[160];
    rt_status st = rt_fs_mkdirs(f->folder, err);
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        snprintf(host, sizeof host, "host");
    for (unsigned i = 0; st == RT_OK && f->fd < 0; i++) {
        snprintf(name, sizeof name, "events.out.tfevents.%010llu.%s.%ld%s%.0u",
                 (unsigned long long)wall_s, host, (long)getpid(), i > 0 ? "." : "", i);
        st = rt_fs_join(f->path, sizeof f->path, f->folder, name, err);
        if (st != RT_OK) break;
        f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
        if (f->fd < 0 && errno != EEXIST)
            st = rt_fail(err, RT_IO, "open %s: %s", f->path, strerror(errno));
    }
    if (st != RT_OK) return st;
    Retort__Tensorboard__Event first = RETORT__TENSORBOARD__EVENT__INIT;
    first.wall_time = wall_s;
    first.what_case = RETORT__TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    first.file_version = (char *)"brain.Event:2";
    st = write_record(f, &first, err);
    if (st == RT_OK || f->fd < 0) return st;
    close(f->fd); /* a file without its first record is none */
    f->fd = -1;
    unlink(f->path);
    return st;
}

rt_status event_file_add(event_file *f, uint64_t step, double wall_s, const event_scalar *scalars,
                         size_t n, rt_error *err)
{
    Retort__Tensorboard__Scalar values[SCALARS_MAX], *list[SCALARS_MAX];
    Retort__Tensorboard__Scalars all = RETORT__TENSORBOARD__SCALARS__INIT;
    Retort__Tensorboard__Event event = RETORT__TENSORBOARD__EVENT__INIT;
    RT_ASSERT(n <= SCALARS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(scalars[i].value)) continue;
        Retort__Tensorboard__Scalar *one = &values[all.n_value];
        retort__tensorboard__scalar__init(one);
        one->tag = (char *)scalars[i].tag;
        one->kind_case = RETORT__TENSORBOARD__SCALAR__KIND_NUMBER;
        one->number = (float)scalars[i].value;
        list[all.n_value++] = one;
    }
    if (all.n_value == 0) return RT_OK;
    all.value = list;
    event.wall_time = wall_s;
    event.step = (int64_t)step;
    event.what_case = RETORT__TENSORBOARD__EVENT__WHAT_SCALARS;
    event.scalars = &all;
    rt_status st = f->fd < 0 ? make_file(f, wall_s, err) : RT_OK;
    return st == RT_OK ? write_record(f, &event, err) : st;
}
