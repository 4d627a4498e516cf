/* Two append-only files and, in memory, where each id's line lies:
 *
 *   place of the id                    places[i]                  labels.jsonl / rejected.jsonl
 *   ┌───────────────────┐              ┌──────────────────────┐   ┌──────────────────────┐
 *   │ in the corpus     │ ─ 0..N-1 ──► │ 1 + offset·2+rejected│ ─►│ {"id":...}\n         │
 *   │ in ids (id_index) │ ─ N.. ─────► │ 0: no record         │   └──────────────────────┘
 *   └───────────────────┘              └──────────────────────┘
 *
 * Six bytes a record of the corpus, whatever its text: its id is in the corpus' index already, and the
 * line says itself where it ends. The text is read back with pread when asked for; a line's own check
 * (line_check.h) proves what comes back. A database was rejected: the file is a product that people open
 * with their own tools.
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
#include "common/base/log.h"
#include "common/base/packed48.h"
#include "common/dataset/archive_file.h"
#include "common/dataset/record_glance.h"

#define OFFSET_MAX (PACKED48_MAX / 2 - 1)

typedef struct reason_count {
    char *name;
    uint64_t n;
} reason_count;

struct archive {
    char *folder;
    int lock_fd;            /* -1: read-only */
    archive_file files[2];  /* labelled, rejected */
    const id_index *corpus; /* NULL: none */
    id_index ids;           /* that are not in there */
    unsigned char *places;  /* packed48 */
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

static size_t n_corpus(const archive *a)
{
    return a->corpus == NULL ? 0 : a->corpus->n;
}

/* Place of an id, or SIZE_MAX; one of the corpus has a place before it has a record. */
static size_t find_place(const archive *a, rt_id id)
{
    size_t i = a->corpus == NULL ? SIZE_MAX : id_index_find(a->corpus, id);
    if (i != SIZE_MAX) return i;
    i = id_index_find(&a->ids, id);
    return i == SIZE_MAX ? SIZE_MAX : n_corpus(a) + i;
}

/* 1 + offset * 2 + rejected, or 0. */
static uint64_t find_line(const archive *a, rt_id id)
{
    size_t i = find_place(a, id);
    return i == SIZE_MAX ? 0 : packed48_get(a->places, i);
}

static uint64_t line_at(uint64_t offset, bool rejected)
{
    return 1 + offset * 2 + rejected;
}

/* Room for one more place, so that nothing can fail once a line is on disk. */
static rt_status reserve_place(archive *a, rt_error *err)
{
    size_t n = n_corpus(a) + a->ids.n, capacity = a->places_capacity;
    if (n < capacity) return RT_OK;
    capacity = RT_MAX(capacity + capacity / 2, n + 64);
    unsigned char *places = realloc(a->places, capacity * PACKED48_BYTES);
    if (places == NULL) return rt_fail(err, RT_NOMEM, "archive of %zu records", capacity);
    memset(places + a->places_capacity * PACKED48_BYTES, 0,
           (capacity - a->places_capacity) * PACKED48_BYTES);
    a->places = places;
    a->places_capacity = capacity;
    return RT_OK;
}

/* Places for all ids of the corpus, as pages that nobody touched yet. */
static rt_status reserve_corpus(archive *a, rt_error *err)
{
    a->places_capacity = n_corpus(a) + 1;
    a->places = rt_calloc(a->places_capacity, PACKED48_BYTES);
    return a->places == NULL ? rt_fail(err, RT_NOMEM, "archive of %zu records", a->places_capacity)
                             : RT_OK;
}

static rt_status find_reason(archive *a, const char *name, size_t n, size_t *out, rt_error *err)
{
    static const char other[] = "other";
    for (size_t i = 0; i < a->n_reasons; i++) {
        if (strncmp(a->reasons[i].name, name, n) != 0 || a->reasons[i].name[n] != '\0') continue;
        *out = i;
        return RT_OK;
    }
    if (a->n_reasons == ARCHIVE_REASONS_MAX) {
        *out = a->n_reasons - 1;
        return RT_OK;
    }
    bool is_last = a->n_reasons == ARCHIVE_REASONS_MAX - 1;
    char *copy = is_last ? rt_strndup(other, strlen(other)) : rt_strndup(name, n);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "reason %.*s", (int)RT_MIN(n, 64), name);
    a->reasons[a->n_reasons] = (reason_count){.name = copy};
    *out = a->n_reasons++;
    return RT_OK;
}

static void count_record(archive *a, const record_glance *r, size_t i_reason)
{
    a->tokens.n_prompt += r->tokens.n_prompt;
    a->tokens.n_cached += r->tokens.n_cached;
    a->tokens.n_completion += r->tokens.n_completion;
    a->tokens.n_reasoning += r->tokens.n_reasoning;
    if (r->reason != NULL) {
        a->n_rejected++;
        a->reasons[i_reason].n++;
        return;
    }
    a->n_labelled++;
    a->n_rationales += r->has_rationale;
    a->n_gold += r->has_gold;
    a->n_gold_equal += r->is_right;
}

/* Count a record that is on disk at an offset. RT_EXISTS when its id is known. */
static rt_status admit(archive *a, const record_glance *r, uint64_t offset, rt_error *err)
{
    rt_status st;
    bool added = false, rejected = r->reason != NULL;
    size_t i_reason = 0, i = find_place(a, r->id);
    if (i != SIZE_MAX && packed48_get(a->places, i) != 0) return RT_EXISTS;
    if (offset > OFFSET_MAX)
        return rt_fail(err, RT_FULL, "%s: larger than %" PRIu64 " bytes", a->files[rejected].path,
                       (uint64_t)OFFSET_MAX);
    if (rejected && (st = find_reason(a, r->reason, r->n_reason, &i_reason, err)) != RT_OK)
        return st;
    if (i == SIZE_MAX) {
        if ((st = reserve_place(a, err)) != RT_OK) return st;
        if ((st = id_index_add(&a->ids, r->id, &i, &added, err)) != RT_OK) return st;
        i += n_corpus(a);
    }
    packed48_set(a->places, i, line_at(offset, rejected));
    count_record(a, r, i_reason);
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
    record_glance g;
    rt_status st = RT_OK;
    if (n >= ARCHIVE_LINE_MAX)
        st = rt_fail(err, RT_CORRUPT, "line of %zu bytes, at most %u", n, ARCHIVE_LINE_MAX);
    if (st == RT_OK && !record_glance_of_line(line, n, &g)) {
        st = label_record_from_json(line, n, &r, err);
        if (st == RT_OK) record_glance_of_record(&r, &g);
    }
    if (st == RT_OK && (g.reason != NULL) != load->rejected)
        st = rt_fail(err, RT_CORRUPT, "a %s record in the file of %s ones",
                     load->rejected ? "labelled" : "rejected",
                     load->rejected ? "rejected" : "labelled");
    if (st == RT_OK) st = admit(load->a, &g, offset, err);
    if (st == RT_EXISTS) {
        load->a->n_repeats++;
        st = RT_OK;
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

rt_status archive_open_with(const char *folder, const archive_options *options, archive **out,
                            rt_error *err)
{
    rt_status st = RT_OK;
    bool writable = !options->read_only;
    archive *a = rt_calloc(1, sizeof *a);
    if (a == NULL) return rt_fail(err, RT_NOMEM, "archive %s", folder);
    a->lock_fd = a->files[0].fd = a->files[1].fd = -1;
    a->corpus = options->corpus;
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
    if ((st = reserve_corpus(a, err)) != RT_OK) goto out;
    if ((st = open_files(a, writable, err)) != RT_OK) goto out;
    *out = a;
    a = NULL;
out:
    archive_close(a);
    return st;
}

rt_status archive_open(const char *folder, archive **out, rt_error *err)
{
    return archive_open_with(folder, &(archive_options){0}, out, err);
}

rt_status archive_open_read_only(const char *folder, archive **out, rt_error *err)
{
    return archive_open_with(folder, &(archive_options){.read_only = true}, out, err);
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
    if (find_line(a, r->id) != 0) return RT_EXISTS;
    archive_file *f = &a->files[r->reason != NULL];
    uint64_t offset = f->n_bytes;
    record_glance g;
    rt_buf_clear(&a->line);
    if ((st = label_record_to_json(r, &a->line, err)) != RT_OK) return st;
    if (a->line.n > ARCHIVE_LINE_MAX)
        return rt_fail(err, RT_FULL, "record of %zu bytes, at most %u", a->line.n,
                       ARCHIVE_LINE_MAX);
    record_glance_of_record(r, &g);
    if ((st = archive_file_append(f, a->line.data, a->line.n, err)) != RT_OK) return st;
    st = admit(a, &g, offset, err);
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
    uint64_t line = find_line(a, id);
    if (line == 0) return ARCHIVE_ABSENT;
    return (line - 1) % 2 == 1 ? ARCHIVE_REJECTED : ARCHIVE_LABELLED;
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

rt_status archive_read(const archive *a, rt_id id, label_record *out, rt_error *err)
{
    char hex[RT_ID_HEX_SIZE];
    label_record r = {0};
    rt_buf line = {0};
    rt_id_to_hex(id, hex);
    uint64_t where = find_line(a, id), offset = (where - 1) / 2;
    if (where == 0) return rt_fail(err, RT_NOTFOUND, "record %s is not in %s", hex, a->folder);
    const archive_file *f = &a->files[(where - 1) % 2];
    rt_status st = archive_file_read_line(f, offset, &line, err);
    if (st != RT_OK) goto out;
    st = label_record_from_json(line.data, line.n, &r, err);
    if (st == RT_OK && !rt_id_equal(r.id, id))
        st = rt_fail(err, RT_CORRUPT, "another record lies there");
    if (st != RT_OK) {
        label_record_free(&r);
        st = rt_wrap(err, st, "%s at byte %" PRIu64 " (record %s)", f->path, offset, hex);
        goto out;
    }
    *out = r;
out:
    rt_buf_free(&line);
    return st;
}

rt_status archive_order_by_id(archive *a, const id_index **out, rt_error *err)
{
    uint32_t *order = NULL;
    RT_ASSERT(a->corpus == NULL);
    size_t n = a->ids.n;
    rt_status st = id_index_sort(&a->ids, &order, err);
    if (st != RT_OK) return st;
    unsigned char *places = rt_calloc(n + 1, PACKED48_BYTES);
    if (places == NULL) {
        free(order);
        return rt_fail(err, RT_NOMEM, "archive of %zu records", n);
    }
    for (size_t i = 0; i < n; i++) packed48_set(places, i, packed48_get(a->places, order[i]));
    free(order);
    free(a->places);
    a->places = places;
    a->places_capacity = n + 1;
    *out = &a->ids;
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

rt_status archive_sha256_add(const archive *a, const rt_id *ids, size_t n, rt_sha256 *sha,
                             rt_error *err)
{
    char id_hex[RT_ID_HEX_SIZE];
    for (size_t i = 0; i < n; i++) {
        label_record r = {0};
        rt_id_to_hex(ids[i], id_hex);
        rt_sha256_add(sha, id_hex, strlen(id_hex));
        if (archive_find(a, ids[i]) == ARCHIVE_ABSENT) {
            rt_sha256_add(sha, "-", 1);
            continue;
        }
        rt_status st = archive_read(a, ids[i], &r, err);
        if (st != RT_OK) return st;
        rt_sha256_add(sha, r.reason != NULL ? "R" : "L", 1);
        hash_field(sha, r.reason != NULL ? r.reason : r.label);
        if (r.reason == NULL) hash_field(sha, r.rationale);
        label_record_free(&r);
    }
    return RT_OK;
}

rt_status archive_sha256(const archive *a, const rt_id *ids, size_t n, char hex[RT_SHA256_HEX_SIZE],
                         rt_error *err)
{
    rt_sha256 sha;
    rt_sha256_begin(&sha);
    rt_status st = archive_sha256_add(a, ids, n, &sha, err);
    if (st == RT_OK) rt_sha256_end(&sha, hex);
    return st;
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
    if (find_line(a, r.id) == line_at(offset, scan->rejected)) /* not a repeat */
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
