/* Building: each row becomes an example, a duplicate or a malformed row, in the order read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/corpus/manifest_parts.h"
#include "common/text/utf8.h"

#define FLUSH_BYTES       (256u << 10)
#define MALFORMED_RAW_MAX (64u << 10)
#define SHARE_ROWS_MIN    100
#define BUILD_LOCK_NAME   ".manifest.lock"

/* A file that takes its name only when it is whole and on disk. */
typedef struct new_file {
    char path[PATH_MAX];
    char tmp[PATH_MAX];
    int fd;
    rt_buf pending;
} new_file;

typedef struct build {
    manifest *m;
    const manifest_settings *settings;
    const char *folder;
    row_reader *reader;
    template *input;
    template *gold; /* NULL: none */
    new_file examples, malformed;
    rt_buf input_text, gold_text, source_text, line;
} build;

static rt_status new_file_open(new_file *f, const char *folder, const char *name, rt_error *err)
{
    rt_status st = rt_fs_join(f->path, sizeof f->path, folder, name, err);
    if (st != RT_OK) return st;
    int k = snprintf(f->tmp, sizeof f->tmp, "%s.tmp", f->path);
    if (k < 0 || (size_t)k >= sizeof f->tmp)
        return rt_fail(err, RT_FULL, "path too long: %s", f->path);
    f->fd = open(f->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return f->fd < 0 ? rt_fail(err, RT_IO, "create %s: %s", f->tmp, strerror(errno)) : RT_OK;
}

static rt_status new_file_flush(new_file *f, rt_error *err)
{
    rt_status st = rt_fs_write_all(f->fd, f->pending.data, f->pending.n, f->tmp, err);
    if (st == RT_OK) rt_buf_clear(&f->pending);
    return st;
}

static rt_status new_file_add(new_file *f, const rt_buf *line, rt_error *err)
{
    rt_status st = rt_buf_add(&f->pending, line->data, line->n, err);
    return st == RT_OK && f->pending.n >= FLUSH_BYTES ? new_file_flush(f, err) : st;
}

static rt_status new_file_commit(new_file *f, rt_error *err)
{
    rt_status st = new_file_flush(f, err);
    if (st != RT_OK) return st;
    if (fsync(f->fd) != 0) return rt_fail(err, RT_IO, "fsync %s: %s", f->tmp, strerror(errno));
    if (rename(f->tmp, f->path) != 0)
        return rt_fail(err, RT_IO, "rename %s to %s: %s", f->tmp, f->path, strerror(errno));
    f->tmp[0] = '\0';
    return RT_OK;
}

static void new_file_close(new_file *f)
{
    if (f->fd >= 0) close(f->fd);
    if (f->fd >= 0 && f->tmp[0] != '\0') unlink(f->tmp);
    rt_buf_free(&f->pending);
    f->fd = -1;
}

/* ,"key":"text"; a path or a cut message that is not UTF-8 is repaired. */
static rt_status add_member(rt_buf *out, const char *key, const char *text, size_t n, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf repaired = {0};
    char *json = NULL;
    json_t *value = NULL;
    if (!utf8_is_valid(text, n)) {
        if ((st = utf8_repair(text, n, &repaired, err)) != RT_OK) goto out;
        text = repaired.data;
        n = repaired.n;
    }
    value = json_stringn(text, n);
    json = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    if (json == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s of %zu bytes", key, n);
        goto out;
    }
    if ((st = rt_buf_printf(out, err, ",\"%s\":", key)) != RT_OK) goto out;
    st = rt_buf_add_text(out, json, err);
out:
    free(json);
    json_decref(value);
    rt_buf_free(&repaired);
    return st;
}

static bool is_empty(const rt_buf *text)
{
    for (size_t i = 0; i < text->n; i++)
        if (strchr(" \t\r\n", text->data[i]) == NULL) return false;
    return true;
}

/* Known to be without a value: every field that the gold template names is null. */
static bool gold_is_null(const build *b)
{
    size_t n = template_n_fields(b->gold);
    for (size_t i = 0; i < n; i++)
        if (!row_reader_is_null(b->reader, template_field(b->gold, i))) return false;
    return n > 0;
}

/* The row as input, gold and source_id. RT_NOTFOUND or RT_INVALID: malformed, err says why. */
static rt_status render(build *b, rt_error *err)
{
    rt_status st;
    const char *source_id = b->settings->source_id;
    rt_buf_clear(&b->input_text);
    rt_buf_clear(&b->gold_text);
    rt_buf_clear(&b->source_text);
    st = template_render(b->input, row_reader_lookup, b->reader, &b->input_text, err);
    if (st != RT_OK) return st;
    if (is_empty(&b->input_text)) return rt_fail(err, RT_INVALID, "the input is empty");
    if (b->gold != NULL && !gold_is_null(b)) {
        st = template_render(b->gold, row_reader_lookup, b->reader, &b->gold_text, err);
        if (st != RT_OK) return st;
    }
    if (source_id == NULL || source_id[0] == '\0') return RT_OK;
    if (row_reader_is_null(b->reader, source_id)) return RT_OK;
    return row_reader_lookup(b->reader, source_id, &b->source_text, err);
}

static rt_status add_example(build *b, rt_error *err)
{
    rt_status st;
    bool added;
    char hex[RT_ID_HEX_SIZE];
    const char *task = b->settings->task_name;
    rt_id id = rt_id_of_two(task, strlen(task), b->input_text.data, b->input_text.n);
    rt_id_to_hex(id, hex);
    rt_buf_clear(&b->line);
    if ((st = rt_buf_printf(&b->line, err, EXAMPLE_HEAD "%s\"", hex)) != RT_OK) return st;
    st = add_member(&b->line, "input", b->input_text.data, b->input_text.n, err);
    if (st == RT_OK && !is_empty(&b->gold_text))
        st = add_member(&b->line, "gold", b->gold_text.data, b->gold_text.n, err);
    if (st == RT_OK && b->source_text.n > 0)
        st = add_member(&b->line, "source_id", b->source_text.data, b->source_text.n, err);
    if (st == RT_OK) st = rt_buf_add_text(&b->line, "}\n", err);
    if (st == RT_OK) st = manifest_add(b->m, id, b->line.data, b->line.n, &added, err);
    if (st != RT_OK) return st;
    if (added) return new_file_add(&b->examples, &b->line, err);
    b->m->counts.n_duplicates++;
    return RT_OK;
}

static rt_status add_malformed(build *b, const row *r, const char *reason, rt_error *err)
{
    rt_status st;
    size_t n_raw = utf8_valid_prefix(r->raw, RT_MIN(r->n_raw, (size_t)MALFORMED_RAW_MAX));
    rt_buf_clear(&b->line);
    b->m->counts.n_malformed++;
    if ((st = add_member(&b->line, "file", r->file, strlen(r->file), err)) != RT_OK) return st;
    b->line.data[0] = '{'; /* instead of the comma */
    if ((st = rt_buf_printf(&b->line, err, ",\"line\":%" PRIu64, r->line)) != RT_OK) return st;
    st = add_member(&b->line, "reason", reason, strlen(reason), err);
    if (st == RT_OK) st = add_member(&b->line, "raw", r->raw, n_raw, err);
    if (st == RT_OK) st = rt_buf_add_text(&b->line, "}\n", err);
    return st == RT_OK ? new_file_add(&b->malformed, &b->line, err) : st;
}

rt_status manifest_check_share(const manifest *m, double bad_share_max, const char *folder,
                               rt_error *err)
{
    const manifest_counts *c = &m->counts;
    if (c->n_rows == 0 || (double)c->n_malformed <= bad_share_max * (double)c->n_rows) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "corpus: %" PRIu64 " of %" PRIu64
                   " rows are malformed, more than the share of %g "
                   "that bad_share_max allows; %s/%s names each with its reason",
                   c->n_malformed, c->n_rows, bad_share_max, folder, MALFORMED_NAME);
}

static rt_status take_row(build *b, const row *r, rt_error *err)
{
    rt_status st;
    rt_error why = {0};
    manifest_counts *c = &b->m->counts;
    c->n_rows++;
    if (r->problem != NULL) {
        st = add_malformed(b, r, r->problem, err);
    } else {
        st = render(b, &why);
        if (st == RT_OK)
            st = add_example(b, err);
        else if (st == RT_NOTFOUND || st == RT_INVALID || st == RT_CORRUPT)
            st = add_malformed(b, r, why.text, err);
        else
            st = rt_fail(err, st, "%s:%" PRIu64 ": %s", r->file, r->line, why.text);
    }
    if (st == RT_OK && c->n_malformed > 0 && c->n_rows >= SHARE_ROWS_MIN)
        st = manifest_check_share(b->m, b->settings->bad_share_max, b->folder, err);
    return st;
}

static rt_status read_rows(build *b, rt_error *err)
{
    row r;
    rt_status st;
    uint64_t rows_max = b->settings->rows_max;
    while (rows_max == 0 || b->m->counts.n_rows < rows_max) {
        st = row_reader_next(b->reader, &r, err);
        if (st == RT_END) break;
        if (st != RT_OK) return st;
        if ((st = take_row(b, &r, err)) != RT_OK) return st;
    }
    return manifest_check_share(b->m, b->settings->bad_share_max, b->folder, err);
}

/* manifest.json: what these files were made from. */
static rt_status write_manifest(const build *b, const source_list *sources, rt_error *err)
{
    char path[PATH_MAX], settings[RT_ID_HEX_SIZE], check[17];
    const manifest_counts *c = &b->m->counts;
    rt_status st = rt_fs_join(path, sizeof path, b->folder, MANIFEST_NAME, err);
    if (st != RT_OK) return st;
    manifest_settings_hash(b->settings, settings);
    snprintf(check, sizeof check, "%016" PRIx64, b->m->check);
    json_t *files = json_array();
    for (size_t i = 0; i < sources->n; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:I}", "path", sources->files[i].path,
                                               "bytes", (json_int_t)sources->files[i].n_bytes,
                                               "mtime_ns", (json_int_t)sources->files[i].mtime_ns));
    json_t *all = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:s}", "settings", settings, "sources",
                            files, "rows", (json_int_t)c->n_rows, "examples",
                            (json_int_t)c->n_examples, "duplicates", (json_int_t)c->n_duplicates,
                            "malformed", (json_int_t)c->n_malformed, "check", check);
    char *text = all == NULL ? NULL : json_dumps(all, JSON_INDENT(2));
    /* A path that is not UTF-8 cannot be written down: the manifest is then rebuilt each time. */
    if (text != NULL && json_array_size(files) == sources->n)
        st = rt_fs_write_atomic(path, text, strlen(text), err);
    else
        rt_log_warn("manifest.not_kept", "folder=%s reason=path_not_utf8_or_no_memory", b->folder);
    free(text);
    json_decref(all);
    return st;
}

static rt_status take_lock(const char *folder, int *fd, rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = rt_fs_join(path, sizeof path, folder, BUILD_LOCK_NAME, err);
    if (st != RT_OK) return st;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) return RT_OK;
    if (errno != EWOULDBLOCK) return rt_fail(err, RT_IO, "lock %s: %s", path, strerror(errno));
    return rt_fail(err, RT_EXISTS, "another process is reading the corpus into %s; wait for it",
                   folder);
}

static rt_status open_parts(build *b, rt_error *err)
{
    rt_status st;
    const manifest_settings *s = b->settings;
    st = template_parse(s->input == NULL || s->input[0] == '\0' ? "{input}" : s->input, &b->input,
                        err);
    if (st != RT_OK) return rt_wrap(err, st, "template of the input");
    if (s->gold != NULL && s->gold[0] != '\0' &&
        (st = template_parse(s->gold, &b->gold, err)) != RT_OK)
        return rt_wrap(err, st, "template of gold");
    if ((st = row_reader_open(s->files, s->n_files, &s->reader, &b->reader, err)) != RT_OK)
        return st;
    if ((st = new_file_open(&b->examples, b->folder, EXAMPLES_NAME, err)) != RT_OK) return st;
    return new_file_open(&b->malformed, b->folder, MALFORMED_NAME, err);
}

rt_status manifest_build(manifest *m, const char *folder, const manifest_settings *s,
                         const source_list *sources, rt_error *err)
{
    rt_status st;
    int lock_fd = -1;
    build b = {
        .m = m, .settings = s, .folder = folder, .examples = {.fd = -1}, .malformed = {.fd = -1}};
    if ((st = rt_fs_mkdirs(folder, err)) != RT_OK) goto out;
    if ((st = take_lock(folder, &lock_fd, err)) != RT_OK) goto out;
    if ((st = open_parts(&b, err)) != RT_OK) goto out;
    st = read_rows(&b, err);
    /* The list of malformed rows is wanted most when there are too many. */
    if (st == RT_CORRUPT) {
        if (new_file_commit(&b.malformed, NULL) != RT_OK)
            rt_log_warn("manifest.malformed", "could not write %s", b.malformed.path);
        goto out;
    }
    if (st != RT_OK) goto out;
    if ((st = new_file_commit(&b.malformed, err)) != RT_OK) goto out;
    if ((st = new_file_commit(&b.examples, err)) != RT_OK) goto out;
    st = write_manifest(&b, sources, err);
out:
    new_file_close(&b.examples);
    new_file_close(&b.malformed);
    row_reader_close(b.reader);
    template_free(b.input);
    template_free(b.gold);
    rt_buf_free(&b.input_text);
    rt_buf_free(&b.gold_text);
    rt_buf_free(&b.source_text);
    rt_buf_free(&b.line);
    if (lock_fd >= 0) close(lock_fd);
    return st;
}
