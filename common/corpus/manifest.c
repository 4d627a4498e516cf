#include "common/corpus/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/packed48.h"
#include "common/corpus/manifest_parts.h"

#define MANIFEST_BYTES_MAX (256u << 20)
#define LOAD_BYTES         (256u << 10)
#define EXAMPLE_BYTES_MIN  40 /* of a line: its id alone takes so many */

void example_free(example *e)
{
    if (e == NULL) return;
    free(e->input);
    free(e->gold);
    free(e->source_id);
    *e = (example){0};
}

/* Also decides what a changed program makes anew: raise it when the rendering changes. */
#define MANIFEST_VERSION 1

void manifest_settings_hash(const manifest_settings *s, char hex[RT_ID_HEX_SIZE])
{
    const uint64_t numbers[] = {MANIFEST_VERSION,        s->reader.format, s->reader.paragraphs,
                                s->reader.row_bytes_max, s->rows_max,      s->n_files};
    const char *texts[] = {s->task_name, s->input, s->gold, s->source_id};
    rt_id id = rt_id_of(numbers, sizeof numbers);
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        const char *text = texts[i] == NULL ? "" : texts[i];
        id = rt_id_of_two(&id, sizeof id, text, strlen(text));
    }
    rt_id_to_hex(id, hex);
}

/* Room for examples [0, n) and the end of the last. */
static rt_status reserve(manifest *m, size_t n, rt_error *err)
{
    unsigned char *offsets = realloc(m->offsets, (n + 1) * PACKED48_BYTES);
    if (offsets == NULL) return rt_fail(err, RT_NOMEM, "manifest of %zu examples", n);
    if (m->offsets == NULL) packed48_set(offsets, 0, 0);
    m->offsets = offsets;
    m->capacity = n;
    return RT_OK;
}

rt_status manifest_add(manifest *m, rt_id id, const char *line, size_t n, bool *added,
                       rt_error *err)
{
    size_t i;
    rt_status st = RT_OK;
    if (m->ids.n + 1 > m->capacity)
        st = reserve(m, m->capacity < 256 ? 256 : m->capacity + m->capacity / 2, err);
    if (st == RT_OK) st = id_index_add(&m->ids, id, &i, added, err);
    if (st != RT_OK || !*added) return st;
    packed48_set(m->offsets, i + 1, packed48_get(m->offsets, i) + n);
    m->check = rt_hash64(line, n, m->check);
    m->counts.n_examples++;
    return RT_OK;
}

static bool number_is(const json_t *object, const char *key, uint64_t expected)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && (uint64_t)json_integer_value(value) == expected;
}

static bool text_is(const json_t *object, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, expected) == 0;
}

static bool sources_are(const json_t *all, const source_list *sources)
{
    const json_t *files = json_object_get(all, "sources");
    if (!json_is_array(files) || json_array_size(files) != sources->n) return false;
    for (size_t i = 0; i < sources->n; i++) {
        const json_t *file = json_array_get(files, i);
        if (!text_is(file, "path", sources->files[i].path) ||
            !number_is(file, "bytes", sources->files[i].n_bytes) ||
            !number_is(file, "mtime_ns", (uint64_t)sources->files[i].mtime_ns))
            return false;
    }
    return true;
}

static bool take_count(const json_t *all, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(all, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Room for the examples that manifest.json tells of, if their file can hold so many. */
static bool reserve_told(manifest *m, uint64_t n)
{
    struct stat info;
    if (fstat(m->fd, &info) != 0 || n > (uint64_t)info.st_size / EXAMPLE_BYTES_MIN) return false;
    return reserve(m, (size_t)n, NULL) == RT_OK &&
           id_index_reserve(&m->ids, (size_t)n, NULL) == RT_OK;
}

/* Add each line of examples.jsonl. False when something is not as it was written. */
static bool load_lines(manifest *m)
{
    bool good = true;
    rt_buf bytes = {0};
    uint64_t offset = 0;
    for (;;) {
        if (rt_buf_reserve(&bytes, LOAD_BYTES, NULL) != RT_OK) good = false;
        ssize_t k = good ? pread(m->fd, bytes.data + bytes.n, LOAD_BYTES, (off_t)offset) : 0;
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        offset += (uint64_t)k;
        size_t n_old = bytes.n, from = 0;
        bytes.n += (size_t)k;
        char *end = memchr(bytes.data + n_old, '\n', (size_t)k);
        while (good && end != NULL) {
            rt_id id;
            bool added = false;
            char *line = bytes.data + from;
            size_t n = (size_t)(end - line) + 1, n_head = strlen(EXAMPLE_HEAD);
            char hex[RT_ID_HEX_SIZE] = "";
            if (n > n_head + 32) memcpy(hex, line + n_head, 32);
            good = memcmp(line, EXAMPLE_HEAD, RT_MIN(n, n_head)) == 0 && rt_id_from_hex(hex, &id) &&
                   manifest_add(m, id, line, n, &added, NULL) == RT_OK && added;
            from += n;
            end = memchr(bytes.data + from, '\n', bytes.n - from);
        }
        memmove(bytes.data, bytes.data + from, bytes.n - from);
        bytes.n -= from;
    }
    good = good && bytes.n == 0;
    rt_buf_free(&bytes);
    return good;
}

static void forget(manifest *m)
{
    id_index_free(&m->ids);
    free(m->offsets);
    if (m->fd >= 0) close(m->fd);
    m->offsets = NULL;
    m->fd = -1;
    m->capacity = 0;
    m->check = 0;
    m->counts = (manifest_counts){0};
}

/* Fill m from the folder when it is current; else leave m empty and say false. */
static bool load(manifest *m, const char *folder, const manifest_settings *s,
                 const source_list *sources)
{
    char path[PATH_MAX], hash[RT_ID_HEX_SIZE], check[17];
    rt_buf text = {0};
    manifest_counts c = {0};
    json_t *all = NULL;
    bool good = false;
    manifest_settings_hash(s, hash);
    if (rt_fs_join(path, sizeof path, folder, MANIFEST_NAME, NULL) != RT_OK) goto out;
    if (rt_fs_read(path, MANIFEST_BYTES_MAX, &text, NULL) != RT_OK) goto out;
    all = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (!text_is(all, "settings", hash) || !sources_are(all, sources)) goto out;
    if (!take_count(all, "rows", &c.n_rows) || !take_count(all, "examples", &c.n_examples) ||
        !take_count(all, "duplicates", &c.n_duplicates) ||
        !take_count(all, "malformed", &c.n_malformed))
        goto out;
    m->fd = open(m->path, O_RDONLY | O_CLOEXEC);
    if (m->fd < 0 || !reserve_told(m, c.n_examples) || !load_lines(m)) goto out;
    snprintf(check, sizeof check, "%016" PRIx64, m->check);
    if (!text_is(all, "check", check) || m->counts.n_examples != c.n_examples) goto out;
    m->counts = c;
    good = true;
out:
    if (!good) forget(m);
    json_decref(all);
    rt_buf_free(&text);
    return good;
}

static rt_status build(manifest *m, const char *folder, const manifest_settings *s,
                       const source_list *sources, rt_error *err)
{
    rt_status st = manifest_build(m, folder, s, sources, err);
    if (st != RT_OK) return st;
    m->fd = open(m->path, O_RDONLY | O_CLOEXEC);
    if (m->fd < 0) return rt_fail(err, RT_IO, "open %s: %s", m->path, strerror(errno));
    rt_log_info("manifest.built",
                "folder=%s rows=%" PRIu64 " examples=%" PRIu64 " duplicates=%" PRIu64
                " malformed=%" PRIu64,
                folder, m->counts.n_rows, m->counts.n_examples, m->counts.n_duplicates,
                m->counts.n_malformed);
    return RT_OK;
}

rt_status manifest_open(const char *folder, const manifest_settings *settings, manifest **out,
                        rt_error *err)
{
    rt_status st;
    char path[PATH_MAX];
    source_list sources = {0};
    manifest *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "manifest %s", folder);
    m->fd = -1;
    if ((st = rt_fs_join(path, sizeof path, folder, EXAMPLES_NAME, err)) != RT_OK) goto out;
    m->path = rt_strndup(path, strlen(path));
    if (m->path == NULL) {
        st = rt_fail(err, RT_NOMEM, "manifest %s", folder);
        goto out;
    }
    st = source_list_expand(settings->files, settings->n_files, &sources, err);
    if (st != RT_OK) goto out;
    if (!load(m, folder, settings, &sources) &&
        (st = build(m, folder, settings, &sources, err)) != RT_OK)
        goto out;
    if ((st = manifest_check_share(m, settings->bad_share_max, folder, err)) != RT_OK) goto out;
    *out = m;
    m = NULL;
out:
    source_list_free(&sources);
    manifest_free(m);
    return st;
}

void manifest_free(manifest *m)
{
    if (m == NULL) return;
    forget(m);
    free(m->path);
    free(m);
}

const manifest_counts *manifest_get_counts(const manifest *m)
{
    return &m->counts;
}

size_t manifest_n(const manifest *m)
{
    return m->ids.n;
}

rt_id manifest_id(const manifest *m, size_t i)
{
    RT_ASSERT(i < m->ids.n);
    return m->ids.ids[i];
}

const id_index *manifest_index(const manifest *m)
{
    return &m->ids;
}

rt_id manifest_key(const manifest *m)
{
    return rt_id_of(m->ids.ids == NULL ? (const void *)"" : m->ids.ids,
                    m->ids.n * sizeof *m->ids.ids);
}

size_t manifest_find(const manifest *m, rt_id id)
{
    return id_index_find(&m->ids, id);
}

static rt_status take_text(const json_t *object, const char *key, char **out, rt_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) return RT_OK;
    *out = rt_strndup(json_string_value(value), json_string_length(value));
    return *out == NULL ? rt_fail(err, RT_NOMEM, "example's %s", key) : RT_OK;
}

/* The line of example i, whole. */
static rt_status read_line(const manifest *m, size_t i, rt_buf *line, rt_error *err)
{
    uint64_t at = packed48_get(m->offsets, i);
    size_t n = (size_t)(packed48_get(m->offsets, i + 1) - at);
    rt_status st = rt_buf_reserve(line, n, err);
    while (st == RT_OK && line->n < n) {
        ssize_t k = pread(m->fd, line->data + line->n, n - line->n, (off_t)(at + line->n));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return rt_fail(err, RT_IO, "read %s: %s", m->path, strerror(errno));
        if (k == 0) return rt_fail(err, RT_CORRUPT, "%s: ends before example %zu", m->path, i);
        line->n += (size_t)k;
    }
    return st;
}

rt_status manifest_read(const manifest *m, size_t i, example *out, rt_error *err)
{
    rt_buf line = {0};
    json_t *object = NULL;
    example e = {0};
    char hex[RT_ID_HEX_SIZE];
    rt_status st;
    if (i >= m->ids.n) return rt_fail(err, RT_NOTFOUND, "example %zu of %zu", i, m->ids.n);
    e.id = m->ids.ids[i];
    rt_id_to_hex(e.id, hex);
    if ((st = read_line(m, i, &line, err)) != RT_OK) goto out;
    object = json_loadb(line.data, line.n, JSON_REJECT_DUPLICATES, NULL);
    if (!text_is(object, "id", hex) || !json_is_string(json_object_get(object, "input"))) {
        st = rt_fail(err, RT_CORRUPT, "%s: example %zu was changed; remove the file to rebuild it",
                     m->path, i);
        goto out;
    }
    if ((st = take_text(object, "input", &e.input, err)) != RT_OK) goto out;
    if ((st = take_text(object, "gold", &e.gold, err)) != RT_OK) goto out;
    if ((st = take_text(object, "source_id", &e.source_id, err)) != RT_OK) goto out;
    *out = e;
    e = (example){0};
out:
    example_free(&e);
    json_decref(object);
    rt_buf_free(&line);
    return st;
}
