/* The file, all numbers in the machine's own (little-endian) order:
 *
 *   file_header | entry_header ids.. pad | entry_header ids.. pad | ... | torn
 *                 ^ offsets[i_example]                             ^ n_bytes
 *
 * In memory: one offset an example, and a mapping of the file, of which no more than WINDOWS_MAX windows
 * are resident: then all of them are given back, to be fetched again from the page cache. A check is the
 * XXH3 of its header, seeded by the entry's offset, and of the ids behind it. Rejected: an index on disk
 * (one more thing to be torn; scanning at opening runs at the speed of the disk).
 */
#include "common/dataset/token_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/packed48.h"

#define CACHE_MAGIC  "RTTOKEN1"
#define WINDOW_SHIFT 16  /* the system fetches up to 64 KiB around a page that is touched */
#define WINDOWS_MAX  256 /* 16 MiB */

typedef struct file_header {
    char magic[8];
    rt_id settings;
    rt_id corpus;
    uint64_t n_examples;
    uint64_t zero;
    uint64_t check;
} file_header;

typedef struct entry_header {
    uint32_t i_example;
    uint32_t n_too_long;
    uint32_t n_prompt[TASK_COUNT];
    uint32_t n_target[TASK_COUNT];
    uint64_t content; /* hash of the record's text */
    uint64_t check;
} entry_header;

_Static_assert(sizeof(file_header) == 64, "no padding in the file");
_Static_assert(sizeof(entry_header) == 48, "no padding in the file");

struct token_cache {
    char *path;
    int fd;
    token_cache_settings settings;
    char *label_format;
    char *marker;
    size_t n_examples;
    unsigned char *offsets; /* packed48; 0: absent */
    uint64_t n_bytes;       /* of whole entries and the header */
    const unsigned char *map;
    size_t n_map;
    struct touched { /* of the mapping: apart, for reading does not change the cache */
        uint64_t window;
        size_t n;
    } * touched;
    uint64_t n_too_long;
    bool broken; /* the file's end is unknown: nothing more is added */
    rt_buf text; /* scratch */
    id_list ids; /* scratch */
};

static uint64_t file_header_check(const file_header *h)
{
    return rt_hash64(h, offsetof(file_header, check), 0);
}

static uint64_t n_entry_ids(const entry_header *h)
{
    uint64_t n = 0;
    for (int t = 0; t < TASK_COUNT; t++) n += (uint64_t)h->n_prompt[t] + h->n_target[t];
    return n;
}

static uint64_t n_entry_bytes(const entry_header *h)
{
    uint64_t n = sizeof *h + n_entry_ids(h) * sizeof(uint32_t);
    return (n + 7) & ~UINT64_C(7); /* headers stay aligned */
}

static uint64_t entry_check(const entry_header *h, const void *ids, uint64_t offset)
{
    uint64_t check = rt_hash64(h, offsetof(entry_header, check), offset);
    return rt_hash64(ids, (size_t)n_entry_ids(h) * sizeof(uint32_t), check);
}

static rt_id settings_id(const token_cache_settings *s)
{
    struct {
        uint64_t tasks, seq_len_max, bos, eos;
    } numbers = {0, s->seq_len_max, tokenizer_bos(s->tokenizer), tokenizer_eos(s->tokenizer)};
    for (int t = 0; t < TASK_COUNT; t++) numbers.tasks |= (uint64_t)s->tasks[t] << t;
    numbers.tasks |= (uint64_t)s->for_encoder << 32;
    const char *texts[] = {tokenizer_sha256(s->tokenizer), s->label_format, s->marker};
    rt_id id = rt_id_of(&numbers, sizeof numbers);
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        id = rt_id_of_two(&id, sizeof id, texts[i], strlen(texts[i]));
    return id;
}

static uint64_t record_content(const label_record *r)
{
    const char *texts[] = {r->input, r->label, r->rationale};
    uint64_t h = rt_hash64(&r->id, sizeof r->id, 0);
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        h = texts[i] == NULL ? rt_hash64("", 0, h) : rt_hash64(texts[i], strlen(texts[i]) + 1, h);
    return h;
}

/* Map at least n_bytes. Pages behind the file's end are mapped too, and become readable as it
 * grows, so most appends map nothing. */
static rt_status map_file(token_cache *c, uint64_t n_bytes, rt_error *err)
{
    if (n_bytes <= c->n_map) return RT_OK;
    size_t n_map = c->n_map == 0 ? 1 << 20 : c->n_map;
    while (n_map < n_bytes) n_map *= 2;
    void *map = mmap(NULL, n_map, PROT_READ, MAP_SHARED, c->fd, 0);
    if (map == MAP_FAILED)
        return rt_fail(err, RT_IO, "map %zu bytes of %s: %s", n_map, c->path, strerror(errno));
    if (c->map != NULL) munmap((void *)(uintptr_t)c->map, c->n_map);
    c->map = map;
    c->n_map = n_map;
    return RT_OK;
}

static const entry_header *entry_at(const token_cache *c, uint64_t offset)
{
    struct touched *t = c->touched;
    if (offset >> WINDOW_SHIFT != t->window) {
        t->window = offset >> WINDOW_SHIFT;
        if (++t->n > WINDOWS_MAX) { /* what was handed out stays valid: it is fetched again */
            (void)madvise((void *)(uintptr_t)c->map, c->n_map, MADV_DONTNEED);
            t->n = 1;
        }
    }
    return (const entry_header *)(const void *)(c->map + offset);
}

static void enter(token_cache *c, uint64_t offset)
{
    const entry_header *h = entry_at(c, offset);
    uint64_t before = packed48_get(c->offsets, h->i_example);
    if (before != 0) c->n_too_long -= entry_at(c, before)->n_too_long;
    c->n_too_long += h->n_too_long;
    packed48_set(c->offsets, h->i_example, offset);
}

static bool entry_is_whole(const token_cache *c, uint64_t offset, uint64_t n_file)
{
    if (n_file - offset < sizeof(entry_header)) return false;
    const entry_header *h = entry_at(c, offset);
    return n_entry_bytes(h) <= n_file - offset && h->i_example < c->n_examples &&
           h->n_too_long <= TASK_COUNT && h->check == entry_check(h, h + 1, offset);
}

static rt_status make_anew(token_cache *c, const file_header *header, rt_error *err)
{
    if (ftruncate(c->fd, 0) != 0)
        return rt_fail(err, RT_IO, "truncate %s: %s", c->path, strerror(errno));
    rt_status st = rt_fs_write_all(c->fd, header, sizeof *header, c->path, err);
    if (st != RT_OK) return st;
    c->n_bytes = sizeof *header;
    return map_file(c, c->n_bytes, err);
}

/* Take what is whole, cut off the rest. */
static rt_status load(token_cache *c, uint64_t n_file, rt_error *err)
{
    rt_status st = map_file(c, n_file, err);
    if (st != RT_OK) return st;
    c->n_bytes = sizeof(file_header);
    while (entry_is_whole(c, c->n_bytes, n_file)) {
        uint64_t offset = c->n_bytes;
        enter(c, offset);
        c->n_bytes += n_entry_bytes(entry_at(c, offset));
    }
    if (c->n_bytes == n_file) return RT_OK;
    rt_log_warn("tokens.torn", "file=%s bytes_cut=%llu", c->path,
                (unsigned long long)(n_file - c->n_bytes));
    if (ftruncate(c->fd, (off_t)c->n_bytes) != 0)
        return rt_fail(err, RT_IO, "truncate %s: %s", c->path, strerror(errno));
    return RT_OK;
}

static rt_status open_file(token_cache *c, rt_error *err)
{
    struct stat info;
    file_header expected = {.settings = settings_id(&c->settings),
                            .corpus = c->settings.corpus,
                            .n_examples = c->n_examples};
    file_header found;
    memcpy(expected.magic, CACHE_MAGIC, sizeof expected.magic);
    expected.check = file_header_check(&expected);
    c->fd = open(c->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (c->fd < 0 || fstat(c->fd, &info) != 0)
        return rt_fail(err, RT_IO, "open %s: %s", c->path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return rt_fail(err, RT_INVALID, "%s is not a file", c->path);
    if (pread(c->fd, &found, sizeof found, 0) == (ssize_t)sizeof found &&
        memcmp(&found, &expected, sizeof found) == 0)
        return load(c, (uint64_t)info.st_size, err);
    return make_anew(c, &expected, err);
}

rt_status token_cache_open(const char *path, const token_cache_settings *settings,
                           size_t n_examples, token_cache **out, rt_error *err)
{
    rt_status st = RT_OK;
    const char *label_format = settings->label_format == NULL ? "" : settings->label_format;
    const char *marker = settings->marker == NULL ? "" : settings->marker;
    if (n_examples > UINT32_MAX)
        return rt_fail(err, RT_INVALID, "%s: %zu examples, at most 2^32 - 1", path, n_examples);
    token_cache *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return rt_fail(err, RT_NOMEM, "token cache %s", path);
    c->fd = -1;
    c->settings = *settings;
    c->n_examples = n_examples;
    c->path = rt_strndup(path, strlen(path));
    c->label_format = rt_strndup(label_format, strlen(label_format));
    c->marker = rt_strndup(marker, strlen(marker));
    c->offsets = rt_calloc(n_examples, PACKED48_BYTES);
    c->touched = rt_calloc(1, sizeof *c->touched);
    if (c->path == NULL || c->label_format == NULL || c->marker == NULL || c->offsets == NULL ||
        c->touched == NULL) {
        st = rt_fail(err, RT_NOMEM, "token cache %s for %zu examples", path, n_examples);
        goto out;
    }
    c->settings.label_format = c->label_format;
    c->settings.marker = c->marker;
    if ((st = open_file(c, err)) != RT_OK) goto out;
    *out = c;
    c = NULL;
out:
    token_cache_close(c);
    return st;
}

void token_cache_close(token_cache *c)
{
    if (c == NULL) return;
    if (c->map != NULL) munmap((void *)(uintptr_t)c->map, c->n_map);
    if (c->fd >= 0) close(c->fd);
    free(c->path);
    free(c->label_format);
    free(c->marker);
    free(c->offsets);
    free(c->touched);
    rt_buf_free(&c->text);
    id_list_free(&c->ids);
    free(c);
}

bool token_cache_has(const token_cache *c, size_t i_example)
{
    return i_example < c->n_examples && packed48_get(c->offsets, i_example) != 0;
}

/* Append text's ids to c->ids. */
static rt_status encode(token_cache *c, rt_error *err)
{
    const char *text = c->text.data == NULL ? "" : c->text.data;
    return tokenizer_encode(c->settings.tokenizer, text, c->text.n, &c->ids, err);
}

/* A model without such a symbol (T5 has no bos) names an id outside its vocabulary. */
static rt_status add_control(token_cache *c, uint32_t id, rt_error *err)
{
    if (id >= tokenizer_size(c->settings.tokenizer)) return RT_OK;
    return id_list_add(&c->ids, id, err);
}

/* The prompt of a task: [bos] and its ids, or for an encoder its ids and [eos]. */
static rt_status add_prompt(token_cache *c, student_task task, const label_record *r, rt_error *err)
{
    const token_cache_settings *s = &c->settings;
    rt_buf_clear(&c->text);
    rt_status st = task_prompt(task, r->input, &c->text, err);
    if (st == RT_OK && !s->for_encoder) st = add_control(c, tokenizer_bos(s->tokenizer), err);
    if (st == RT_OK) st = encode(c, err);
    if (st == RT_OK && s->for_encoder) st = add_control(c, tokenizer_eos(s->tokenizer), err);
    return st;
}

/* Prompt, target, [eos] of one task behind c->ids. */
static rt_status add_sequence(token_cache *c, student_task task, const label_record *r,
                              entry_header *h, rt_error *err)
{
    rt_status st;
    size_t start = c->ids.n;
    const token_cache_settings *s = &c->settings;
    if ((st = add_prompt(c, task, r, err)) != RT_OK) return st;
    size_t n_prompt = c->ids.n - start;
    rt_buf_clear(&c->text);
    rt_error missing = {0};
    st = task_target(task, r, s->label_format, s->marker, &c->text, &missing);
    if (st == RT_NOTFOUND) {
        c->ids.n = start;
        return RT_OK;
    }
    if (st != RT_OK) return rt_fail(err, st, "%s", missing.text);
    if ((st = encode(c, err)) != RT_OK) return st;
    if ((st = add_control(c, tokenizer_eos(s->tokenizer), err)) != RT_OK) return st;
    size_t n = c->ids.n - start;
    if (n > UINT32_MAX / 4 || (s->seq_len_max > 0 && n > s->seq_len_max)) {
        h->n_too_long++;
        c->ids.n = start;
        return RT_OK;
    }
    h->n_prompt[task] = (uint32_t)n_prompt;
    h->n_target[task] = (uint32_t)(n - n_prompt);
    return RT_OK;
}

/* One write of header, ids and padding; on failure the file is as it was. */
static rt_status append_entry(token_cache *c, entry_header *h, rt_error *err)
{
    rt_status st;
    uint64_t n = n_entry_bytes(h);
    size_t n_ids = (size_t)n_entry_ids(h);
    h->check = entry_check(h, c->ids.ids, c->n_bytes);
    if (c->broken)
        return rt_fail(err, RT_IO, "%s: an earlier failure left its end unknown; open it anew",
                       c->path);
    if (c->n_bytes > PACKED48_MAX)
        return rt_fail(err, RT_FULL, "%s: %llu bytes", c->path, (unsigned long long)c->n_bytes);
    rt_buf_clear(&c->text);
    if ((st = map_file(c, c->n_bytes + n, err)) != RT_OK) return st;
    if ((st = rt_buf_reserve(&c->text, (size_t)n, err)) != RT_OK) return st;
    memset(c->text.data, 0, (size_t)n);
    memcpy(c->text.data, h, sizeof *h);
    if (n_ids > 0) memcpy(c->text.data + sizeof *h, c->ids.ids, n_ids * sizeof(uint32_t));
    st = rt_fs_write_all(c->fd, c->text.data, (size_t)n, c->path, err);
    if (st != RT_OK) {
        if (ftruncate(c->fd, (off_t)c->n_bytes) != 0) c->broken = true;
        return st;
    }
    enter(c, c->n_bytes);
    c->n_bytes += n;
    return RT_OK;
}

rt_status token_cache_add(token_cache *c, size_t i_example, const label_record *record,
                          rt_error *err)
{
    rt_status st;
    if (i_example >= c->n_examples)
        return rt_fail(err, RT_INVALID, "%s: example %zu of %zu", c->path, i_example,
                       c->n_examples);
    if (record->input == NULL) return rt_fail(err, RT_INVALID, "%s: record without input", c->path);
    entry_header h = {.i_example = (uint32_t)i_example, .content = record_content(record)};
    uint64_t known = packed48_get(c->offsets, i_example);
    if (known != 0 && entry_at(c, known)->content == h.content) return RT_OK;
    c->ids.n = 0;
    for (int t = 0; t < TASK_COUNT; t++) {
        if (!c->settings.tasks[t]) continue;
        if ((st = add_sequence(c, (student_task)t, record, &h, err)) != RT_OK) return st;
    }
    return append_entry(c, &h, err);
}

token_seq token_cache_get(const token_cache *c, size_t i_example, student_task task)
{
    if (!token_cache_has(c, i_example) || (unsigned)task >= TASK_COUNT) return (token_seq){0};
    const entry_header *h = entry_at(c, packed48_get(c->offsets, i_example));
    const uint32_t *ids = (const uint32_t *)(const void *)(h + 1);
    for (int t = 0; t < (int)task; t++) ids += h->n_prompt[t] + h->n_target[t];
    if (h->n_target[task] == 0) return (token_seq){0};
    return (token_seq){ids, h->n_prompt[task], h->n_target[task]};
}

uint64_t token_cache_n_too_long(const token_cache *c)
{
    return c->n_too_long;
}
