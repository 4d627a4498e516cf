/* Two append-only files and, in memory, where each id's line lies:
 *
 *   ids (id_index)   places[i]                 labels.jsonl / rejected.jsonl
 *   ┌────┐           ┌───────────────────┐     ┌──────────────────────┐
 *   │ id │ ── i ───► │ offset·2+rejected │ ──► │ {"id":...}\n         │
 *   └────┘           │ n_bytes           │     └──────────────────────┘
 *                    └───────────────────┘
 *
 * About 40 bytes a record, whatever its text. The text is read back with pread when asked for; a
 * line's own check (label_record.c) proves what comes back. A database was rejected: the file is a
 * product that people open with their own tools.
 */
#include "common/dataset/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/id_index.h"
#include "common/base/log.h"
#include "common/dataset/archive_file.h"
#include "common/dataset/gold_use.h"

typedef struct place {
    uint64_t offset2; /* offset * 2 + 1 when in rejected.jsonl */
    uint32_t n_bytes; /* newline included */
} place;

typedef struct reason_count {
    char *name;
    uint64_t n;
} reason_count;

struct archive {
    char *folder;
    int lock_fd;           /* -1: read-only */
    archive_file files[2]; /* labelled, rejected */
    id_index ids;
    place *places; /* parallel to ids.ids */
    size_t places_capacity;
    uint64_t n_labelled, n_rejected, n_rationales, n_gold, n_gold_equal, n_repeats;
    record_tokens tokens;
    reason_count reasons[ARCHIVE_REASONS_MAX];
    size_t n_reasons;
    rt_buf line; /* scratch */
};

static rt_status take_lock(archive *a, rt_error *err)
{
    char path[PATH_MAX], holder[32] = "";
    rt_status st = rt_fs_join(path, sizeof path, a->folder, ".lock", err);
    if (st != RT_OK) return st;
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (a->lock_fd < 0) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return rt_fail(err, RT_IO, "lock %s: %s", path, strerror(errno));
        ssize_t n = pread(a->lock_fd, holder, sizeof holder - 1, 0);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        return rt_fail(err, RT_EXISTS,
                       "dataset %s is in use by process %s; stop it, or use another run folder",
                       a->folder, holder[0] == '\0' ? "(unknown)" : holder);
    }
    /* The pid is only for the message above; the lock itself is the kernel's. */
    int k = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(a->lock_fd, 0) != 0 || pwrite(a->lock_fd, holder, (size_t)k, 0) != k)
        return rt_fail(err, RT_IO, "write %s: %s", path, strerror(errno));
    return RT_OK;
}

/* Room for one more place and reason, so that nothing can fail once a line is on disk. */
static rt_status reserve_place(archive *a, rt_error *err)
{
    if (a->ids.n < a->places_capacity) return RT_OK;
    size_t capacity = a->places_capacity == 0 ? 64 : a->places_capacity + a->places_capacity / 2;
    place *places = realloc(a->places, capacity * sizeof *places);
    if (places == NULL) return rt_fail(err, RT_NOMEM, "archive of %zu records", capacity);
    a->places = places;
    a->places_capacity = capacity;
    return RT_OK;
}

static rt_status find_reason(archive *a, const char *name, size_t *out, rt_error *err)
{
    for (size_t i = 0; i < a->n_reasons; i++) {
        if (strcmp(a->reasons[i].name, name) != 0) continue;
        *out = i;
        return RT_OK;
    }
    if (a->n_reasons == ARCHIVE_REASONS_MAX) {
        *out = a->n_reasons - 1;
        return RT_OK;
    }
    if (a->n_reasons == ARCHIVE_REASONS_MAX - 1) name = "other";
    char *copy = rt_strndup(name, strlen(name));
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "reason %s", name);
    a->reasons[a->n_reasons] = (reason_count){.name = copy};
    *out = a->n_reasons++;
    return RT_OK;
}

/* Count a record that is on disk at `where`. RT_EXISTS when its id is known. */
static rt_status admit(archive *a, const label_record *r, place where, rt_error *err)
{
    rt_status st;
    bool added = false;
    size_t i = 0, i_reason = 0;
    bool rejected = r->reason != NULL;
    if ((st = reserve_place(a, err)) != RT_OK) return st;
    if (rejected && (st = find_reason(a, r->reason, &i_reason, err)) != RT_OK) return st;
    if ((st = id_index_add(&a->ids, r->id, &i, &added, err)) != RT_OK) return st;
    if (!added) return RT_EXISTS;
    a->places[i] = where;
    record_tokens_add(&a->tokens, r->meta);
    if (rejected) {
        a->n_rejected++;
        a->reasons[i_reason].n++;
        return RT_OK;
    }
    a->n_labelled++;
    a->n_rationales += r->rationale != NULL;
    a->n_gold += r->gold != NULL;
    a->n_gold_equal +=
        r->gold != NULL && strcmp(r->gold, r->label) == 0 && gold_use_of(r->meta) == GOLD_USE_NONE;
    return RT_OK;
}

typedef struct load_context {
    archive *a;
    bool rejected;
} load_context;

static rt_status load_line(void *context, const char *line, size_t n, uint64_t offset,
                           uint64_t i_line, rt_error *err)
{
    load_context *load = context;
    const char *path = load->a->files[load->rejected].path;
    label_record r = {0};
    rt_status st = n >= ARCHIVE_LINE_MAX ? rt_fail(err, RT_CORRUPT, "line of %zu bytes, at most %u",
                                                   n, ARCHIVE_LINE_MAX)
                                         : label_record_from_json(line, n, &r, err);
    if (st == RT_OK && (r.reason != NULL) != load->rejected)
        st = rt_fail(err, RT_CORRUPT, "a %s record in the file of %s ones",
                     load->rejected ? "labelled" : "rejected",
                     load->rejected ? "rejected" : "labelled");
    if (st == RT_OK) {
        place where = {offset * 2 + load->rejected, (uint32_t)(n + 1)};
        st = admit(load->a, &r, where, err);
        if (st == RT_EXISTS) {
            load->a->n_repeats++;
            st = RT_OK;
        }
    }
    label_record_free(&r);
    return st == RT_OK ? st : rt_wrap(err, st, "%s:%" PRIu64, path, i_line);
}

static rt_status open_files(archive *a, bool writable, rt_error *err)
{
    static const char *const names[2] = {"labels.jsonl", "rejected.jsonl"};
    rt_status st;
    for (int k = 0; k < 2; k++) {
        load_context load = {a, k == 1};
        archive_file *f = &a->files[k];
        if ((st = archive_file_open(f, a->folder, names[k], writable, err)) != RT_OK) return st;
        if ((st = archive_file_scan(f, UINT64_MAX, load_line, &load, err)) != RT_OK) return st;
        if (writable && (st = archive_file_cut_tail(f, err)) != RT_OK) return st;
    }
    if (a->n_repeats > 0)
        rt_log_warn("archive.repeats", "folder=%s lines=%" PRIu64, a->folder, a->n_repeats);
    return writable ? rt_fs_sync_dir(a->folder, err) : RT_OK;
}

static rt_status open_either(const char *folder, bool writable, archive **out, rt_error *err)
{
    rt_status st = RT_OK;
    archive *a = rt_calloc(1, sizeof *a);
    if (a == NULL) return rt_fail(err, RT_NOMEM, "archive %s", folder);
    a->lock_fd = a->files[0].fd = a->files[1].fd = -1;
    a->folder = rt_strndup(folder, strlen(folder));
    if (a->folder == NULL) {
        st = rt_fail(err, RT_NOMEM, "archive %s", folder);
        goto out;
    }
    if (writable && (st = rt_fs_mkdirs(folder, err)) != RT_OK) goto out;
    if (writable && (st = take_lock(a, err)) != RT_OK) goto out;
    if (!writable && !rt_fs_exists(folder)) {
        st = rt_fail(err, RT_NOTFOUND, "dataset folder %s does not exist", folder);
        goto out;
    }
    if ((st = open_files(a, writable, err)) != RT_OK) goto out;
    *out = a;
    a = NULL;
out:
    archive_close(a);
    return st;
}

rt_status archive_open(const char *folder, archive **out, rt_error *err)
{
    return open_either(folder, true, out, err);
}

rt_status archive_open_read_only(const char *folder, archive **out, rt_error *err)
{
    return open_either(folder, false, out, err);
}

void archive_close(archive *a)
{
    if (a == NULL) return;
    for (int k = 0; k < 2; k++) archive_file_close(&a->files[k]);
    for (size_t i = 0; i < a->n_reasons; i++) free(a->reasons[i].name);
    if (a->lock_fd >= 0) close(a->lock_fd);
    id_index_free(&a->ids);
    rt_buf_free(&a->line);
    free(a->places);
    free(a->folder);
    free(a);
}

rt_status archive_append(archive *a, const label_record *r, rt_error *err)
{
    rt_status st;
    if (a->lock_fd < 0)
        return rt_fail(err, RT_INVALID, "archive %s was opened for reading only", a->folder);
    if (id_index_find(&a->ids, r->id) != SIZE_MAX) return RT_EXISTS;
    archive_file *f = &a->files[r->reason != NULL];
    rt_buf_clear(&a->line);
    if ((st = label_record_to_json(r, &a->line, err)) != RT_OK) return st;
    if (a->line.n > ARCHIVE_LINE_MAX)
        return rt_fail(err, RT_FULL, "record of %zu bytes, at most %u", a->line.n,
                       ARCHIVE_LINE_MAX);
    place where = {f->n_bytes * 2 + (r->reason != NULL), (uint32_t)a->line.n};
    if ((st = archive_file_append(f, a->line.data, a->line.n, err)) != RT_OK) return st;
    st = admit(a, r, where, err);
    /* Out of memory with the line on disk: memory and file no longer agree. */
    if (st != RT_OK) f->broken = true;
    return st;
}

rt_status archive_sync(archive *a, rt_error *err)
{
    rt_status st = archive_file_sync(&a->files[0], err);
    return st == RT_OK ? archive_file_sync(&a->files[1], err) : st;
}

archive_state archive_find(const archive *a, rt_id id)
{
    size_t i = id_index_find(&a->ids, id);
    if (i == SIZE_MAX) return ARCHIVE_ABSENT;
    return (a->places[i].offset2 & 1) != 0 ? ARCHIVE_REJECTED : ARCHIVE_LABELLED;
}

uint64_t archive_n_labelled(const archive *a)
{
    return a->n_labelled;
}

uint64_t archive_n_rejected(const archive *a)
{
    return a->n_rejected;
}

uint64_t archive_n_rationales(const archive *a)
{
    return a->n_rationales;
}

uint64_t archive_n_gold(const archive *a)
{
    return a->n_gold;
}

record_tokens archive_tokens(const archive *a)
{
    return a->tokens;
}

uint64_t archive_n_gold_equal(const archive *a)
{
    return a->n_gold_equal;
}

uint64_t archive_n_repeats(const archive *a)
{
    return a->n_repeats;
}

size_t archive_n_reasons(const archive *a)
{
    return a->n_reasons;
}

const char *archive_reason(const archive *a, size_t i, uint64_t *count)
{
    if (i >= a->n_reasons) return NULL;
    if (count != NULL) *count = a->reasons[i].n;
    return a->reasons[i].name;
}

rt_status archive_read(archive *a, rt_id id, label_record *out, rt_error *err)
{
    char hex[RT_ID_HEX_SIZE];
    label_record r = {0};
    rt_id_to_hex(id, hex);
    size_t i = id_index_find(&a->ids, id);
    if (i == SIZE_MAX) return rt_fail(err, RT_NOTFOUND, "record %s is not in %s", hex, a->folder);
    place where = a->places[i];
    const archive_file *f = &a->files[where.offset2 & 1];
    rt_status st = archive_file_read(f, where.offset2 / 2, where.n_bytes, &a->line, err);
    if (st != RT_OK) return st;
    st = label_record_from_json(a->line.data, a->line.n, &r, err);
    if (st == RT_OK && !rt_id_equal(r.id, id))
        st = rt_fail(err, RT_CORRUPT, "another record lies there");
    if (st != RT_OK) {
        label_record_free(&r);
        return rt_wrap(err, st, "%s at byte %" PRIu64 " (record %s)", f->path, where.offset2 / 2,
                       hex);
    }
    *out = r;
    return RT_OK;
}

static void hash_field(rt_sha256 *sha, const char *text)
{
    char length[32];
    if (text == NULL) {
        rt_sha256_add(sha, "-", 1);
        return;
    }
    int k = snprintf(length, sizeof length, "%zu:", strlen(text));
    rt_sha256_add(sha, length, (size_t)k);
    rt_sha256_add(sha, text, strlen(text));
}

rt_status archive_sha256(archive *a, const rt_id *ids, size_t n, char hex[RT_SHA256_HEX_SIZE],
                         rt_error *err)
{
    rt_sha256 sha;
    char id_hex[RT_ID_HEX_SIZE];
    rt_sha256_begin(&sha);
    for (size_t i = 0; i < n; i++) {
        label_record r = {0};
        rt_id_to_hex(ids[i], id_hex);
        rt_sha256_add(&sha, id_hex, strlen(id_hex));
        if (archive_find(a, ids[i]) == ARCHIVE_ABSENT) {
            rt_sha256_add(&sha, "-", 1);
            continue;
        }
        rt_status st = archive_read(a, ids[i], &r, err);
        if (st != RT_OK) return st;
        rt_sha256_add(&sha, r.reason != NULL ? "R" : "L", 1);
        hash_field(&sha, r.reason != NULL ? r.reason : r.label);
        if (r.reason == NULL) hash_field(&sha, r.rationale);
        label_record_free(&r);
    }
    rt_sha256_end(&sha, hex);
    return RT_OK;
}

typedef struct scan_context {
    archive *a;
    bool rejected;
    archive_visit visit;
    void *context;
} scan_context;

static rt_status scan_line(void *context, const char *line, size_t n, uint64_t offset,
                           uint64_t i_line, rt_error *err)
{
    scan_context *scan = context;
    const archive *a = scan->a;
    label_record r = {0};
    rt_status st = label_record_from_json(line, n, &r, err);
    if (st != RT_OK) return rt_wrap(err, st, "%s:%" PRIu64, a->files[scan->rejected].path, i_line);
    size_t i = id_index_find(&a->ids, r.id);
    if (i != SIZE_MAX && a->places[i].offset2 == offset * 2 + scan->rejected) /* not a repeat */
        st = scan->visit(scan->context, &r, err);
    label_record_free(&r);
    return st;
}

rt_status archive_scan(archive *a, bool rejected, archive_visit visit, void *context, rt_error *err)
{
    scan_context scan = {a, rejected, visit, context};
    archive_file *f = &a->files[rejected];
    return archive_file_scan(f, f->n_bytes, scan_line, &scan, err);
}
