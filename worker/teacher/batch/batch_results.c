#include "worker/teacher/batch/batch_results.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/id_index.h"
#include "common/base/log.h"
#include "common/corpus/byte_source.h"
#include "common/dataset/archive_file.h"

#define UNPACK_BYTES ((size_t)256 << 10)

typedef struct place {
    uint64_t offset;
    uint32_t n_bytes;
    uint32_t i_file;
} place;

typedef struct code_count {
    char name[sizeof((batch_result){0}.code)];
    uint64_t n;
} code_count;

struct batch_results {
    archive_file *files;
    size_t n_files;
    id_index ids;  /* of custom_ids */
    place *places; /* parallel to ids.ids */
    size_t places_capacity;
    code_count codes[BATCH_CODES_MAX];
    size_t n_codes;
    batch_results_counts counts;
};

static rt_id id_of(const char *custom_id)
{
    return rt_id_of(custom_id, strlen(custom_id));
}

rt_status batch_results_new(batch_results **out, rt_error *err)
{
    *out = rt_calloc(1, sizeof **out);
    return *out == NULL ? rt_fail(err, RT_NOMEM, "batch results") : RT_OK;
}

void batch_results_free(batch_results *r)
{
    if (r == NULL) return;
    for (size_t i = 0; i < r->n_files; i++) archive_file_close(&r->files[i]);
    free(r->files);
    id_index_free(&r->ids);
    free(r->places);
    free(r);
}

static void count_code(batch_results *r, const char *code)
{
    size_t i = 0;
    r->counts.n_failed++;
    while (i < r->n_codes && strcmp(r->codes[i].name, code) != 0) i++;
    if (i == BATCH_CODES_MAX) i = BATCH_CODES_MAX - 1;
    if (i == r->n_codes) {
        snprintf(r->codes[i].name, sizeof r->codes[i].name, "%s",
                 i == BATCH_CODES_MAX - 1 ? "other" : code);
        r->n_codes++;
    }
    r->codes[i].n++;
}

static rt_status keep_place(batch_results *r, const char *custom_id, place where, rt_error *err)
{
    size_t i;
    bool added = false;
    if (r->ids.n == r->places_capacity) {
        size_t capacity = r->places_capacity == 0 ? 256 : r->places_capacity * 2;
        place *grown = realloc(r->places, capacity * sizeof *grown);
        if (grown == NULL) return rt_fail(err, RT_NOMEM, "index of %zu answers", capacity);
        r->places = grown;
        r->places_capacity = capacity;
    }
    rt_status st = id_index_add(&r->ids, id_of(custom_id), &i, &added, err);
    if (st != RT_OK || !added) return st; /* the first answer is as good as any */
    r->places[i] = where;
    r->counts.n_answers++;
    return RT_OK;
}

static rt_status take_line(void *context, const char *line, size_t n, uint64_t offset,
                           uint64_t i_line, rt_error *err)
{
    batch_results *r = context;
    const archive_file *f = &r->files[r->n_files - 1];
    batch_result one = {0};
    rt_error why = {0};
    rt_status st = RT_OK;
    if (n == 0 || strspn(line, " \t\r\n") >= n) return RT_OK;
    r->counts.n_lines++;
    st = batch_line_read(line, n, &one, &why);
    if (st == RT_CORRUPT) {
        r->counts.n_unreadable++;
        rt_log_warn("batch.unreadable", "%s:%" PRIu64 ": %s", f->path, i_line, why.text);
        st = RT_OK;
    } else if (st != RT_OK) {
        st = rt_fail(err, st, "%s", why.text);
    } else if (one.code[0] != '\0') {
        count_code(r, one.code);
    } else {
        place where = {offset, (uint32_t)n, (uint32_t)(r->n_files - 1)};
        st = keep_place(r, one.custom_id, where, err);
    }
    batch_result_free(&one);
    return st;
}

/* What lies behind the last line end: a whole line all the same, or one that was cut off. */
static rt_status take_tail(batch_results *r, archive_file *f, rt_error *err)
{
    struct stat info;
    rt_buf tail = {0};
    if (fstat(f->fd, &info) != 0)
        return rt_fail(err, RT_IO, "stat %s: %s", f->path, strerror(errno));
    if ((uint64_t)info.st_size <= f->n_bytes) return RT_OK;
    size_t n = (size_t)((uint64_t)info.st_size - f->n_bytes);
    rt_status st = archive_file_read(f, f->n_bytes, n, &tail, err);
    if (st == RT_OK) st = take_line(r, tail.data, n, f->n_bytes, 0, err);
    rt_buf_free(&tail);
    return st;
}

/* All bytes of s into a file without a name, which *fd then is. */
static rt_status unpack(byte_source *s, const char *path, int *fd, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf block = {0};
    FILE *file = tmpfile();
    int copy = -1;
    if (file == NULL)
        return rt_fail(err, RT_IO, "temporary file for %s: %s", path, strerror(errno));
    if ((st = rt_buf_reserve(&block, UNPACK_BYTES, err)) != RT_OK) goto out;
    while (st == RT_OK) {
        size_t n = 0;
        st = byte_source_read(s, block.data, UNPACK_BYTES, &n, err);
        if (st == RT_OK) st = rt_fs_write_all(fileno(file), block.data, n, path, err);
    }
    if (st != RT_END) goto out;
    st = RT_OK;
    copy = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) st = rt_fail(err, RT_IO, "temporary file for %s: %s", path, strerror(errno));
out:
    if (st == RT_OK) *fd = copy;
    rt_buf_free(&block);
    fclose(file);
    return st;
}

/* Lines are found again by their place, so of a compressed file the bytes before compression are
 * read. */
static rt_status unpack_if_packed(archive_file *f, const char *path, rt_error *err)
{
    int fd = -1;
    byte_source *s = NULL;
    rt_status st = byte_source_open(path, &s, err);
    if (st != RT_OK) return st;
    if (byte_source_is_packed(s)) {
        st = unpack(s, path, &fd, err);
        if (st == RT_OK) {
            close(f->fd);
            f->fd = fd;
        }
    }
    byte_source_close(s);
    return st;
}

rt_status batch_results_add(batch_results *r, const char *path, rt_error *err)
{
    char folder[PATH_MAX], name[PATH_MAX];
    archive_file *grown = realloc(r->files, (r->n_files + 1) * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    r->files = grown;
    if (strlen(path) >= sizeof folder) return rt_fail(err, RT_FULL, "path too long: %s", path);
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    archive_file *f = &r->files[r->n_files];
    *f = (archive_file){.fd = -1};
    rt_status st = archive_file_open(f, dirname(folder), basename(name), false, err);
    if (st != RT_OK) return st;
    r->n_files++;
    if (f->fd < 0) return rt_fail(err, RT_NOTFOUND, "%s does not exist", path);
    if ((st = unpack_if_packed(f, path, err)) != RT_OK) return st;
    st = archive_file_scan(f, UINT64_MAX, take_line, r, err);
    return st == RT_OK ? take_tail(r, f, err) : st;
}

batch_results_counts batch_results_count(const batch_results *r)
{
    return r->counts;
}

size_t batch_results_n_codes(const batch_results *r)
{
    return r->n_codes;
}

const char *batch_results_code(const batch_results *r, size_t i, uint64_t *count)
{
    if (i >= r->n_codes) return NULL;
    *count = r->codes[i].n;
    return r->codes[i].name;
}

bool batch_results_has(const batch_results *r, const char *custom_id)
{
    return id_index_find(&r->ids, id_of(custom_id)) != SIZE_MAX;
}

rt_status batch_results_find(const batch_results *r, const char *custom_id, batch_result *out,
                             rt_error *err)
{
    rt_buf line = {0};
    size_t i = id_index_find(&r->ids, id_of(custom_id));
    if (i == SIZE_MAX) return rt_fail(err, RT_NOTFOUND, "no answer to %s", custom_id);
    place where = r->places[i];
    rt_status st =
        archive_file_read(&r->files[where.i_file], where.offset, where.n_bytes, &line, err);
    if (st == RT_OK) st = batch_line_read(line.data, line.n, out, err);
    rt_buf_free(&line);
    return st;
}
