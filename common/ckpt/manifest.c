/* manifest.json:
 *   {"format":1,"version":500,"n_shards":2,"fingerprint":"..","tokenizer_sha256":"..",
 *    "files":[{"name":"model-00001-of-00002.safetensors","n_bytes":123,"sha256":".."}, ...]}
 *
 * The rename of the folder is the commit. A manifest is trusted only as far as its files agree with
 * it, and its version with the folder's name.
 */
#include "common/ckpt/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fault_point.h"
#include "common/base/fs.h"
#include "common/base/log.h"

#define MANIFEST_NAME      "manifest.json"
#define MANIFEST_BYTES_MAX (16u << 20)
#define FILES_MAX          4096
#define PARTIAL            ".partial"

void ckpt_manifest_free(ckpt_manifest *m)
{
    if (m == NULL) return;
    free(m->files);
    *m = (ckpt_manifest){0};
}

rt_status ckpt_folder(const char *root, uint64_t version, bool partial, char *out, size_t n_out,
                      rt_error *err)
{
    int n = snprintf(out, n_out, "%s/step-%" PRIu64 "%s", root, version, partial ? PARTIAL : "");
    if (n < 0 || (size_t)n >= n_out)
        return rt_fail(err, RT_FULL, "path of checkpoint %" PRIu64 " in %s is too long", version,
                       root);
    return RT_OK;
}

/* A name that stays inside its folder. */
static bool name_is_plain(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < sizeof((ckpt_file *)0)->name;
}

static json_t *file_to_json(const ckpt_file *f)
{
    return json_pack("{s:s, s:I, s:s}", "name", f->name, "n_bytes", (json_int_t)f->n_bytes,
                     "sha256", f->sha256);
}

static rt_status manifest_to_json(const ckpt_manifest *m, char **out, rt_error *err)
{
    json_t *files = json_array();
    json_t *top = NULL;
    char *text = NULL;
    for (size_t i = 0; files != NULL && i < m->n_files; i++)
        if (json_array_append_new(files, file_to_json(&m->files[i])) != 0) goto out;
    top = json_pack("{s:i, s:I, s:I, s:s, s:s, s:O}", "format", 1, "version",
                    (json_int_t)m->version, "n_shards", (json_int_t)m->n_shards, "fingerprint",
                    m->fingerprint, "tokenizer_sha256", m->tokenizer_sha256, "files", files);
    if (top != NULL) text = json_dumps(top, JSON_INDENT(2));
out:
    json_decref(top);
    json_decref(files);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "manifest of checkpoint %" PRIu64, m->version);
    *out = text;
    return RT_OK;
}

static rt_status take_u64(const json_t *object, const char *key, uint64_t max, uint64_t *out,
                          rt_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return rt_fail(err, RT_CORRUPT, "%s: expected a whole number from 0 to %" PRIu64, key, max);
    *out = (uint64_t)json_integer_value(value);
    return RT_OK;
}

static rt_status take_text(const json_t *object, const char *key, char *out, size_t n_out,
                           rt_error *err)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) >= n_out)
        return rt_fail(err, RT_CORRUPT, "%s: expected a text shorter than %zu bytes", key, n_out);
    memcpy(out, text, strlen(text) + 1);
    return RT_OK;
}

static rt_status take_files(const json_t *array, ckpt_manifest *m, rt_error *err)
{
    rt_status st;
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n == 0 || n > FILES_MAX)
        return rt_fail(err, RT_CORRUPT, "files: expected a list of 1 to %d", FILES_MAX);
    m->files = rt_calloc(n, sizeof *m->files);
    if (m->files == NULL) return rt_fail(err, RT_NOMEM, "manifest of %zu files", n);
    m->n_files = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(array, i);
        ckpt_file *f = &m->files[i];
        if ((st = take_text(object, "name", f->name, sizeof f->name, err)) != RT_OK) return st;
        if ((st = take_text(object, "sha256", f->sha256, sizeof f->sha256, err)) != RT_OK)
            return st;
        if ((st = take_u64(object, "n_bytes", INT64_MAX, &f->n_bytes, err)) != RT_OK) return st;
        if (!name_is_plain(f->name))
            return rt_fail(err, RT_CORRUPT, "file %zu: '%s' is not a plain file name", i, f->name);
    }
    return RT_OK;
}

rt_status ckpt_manifest_parse(const char *text, size_t n, ckpt_manifest *out, rt_error *err)
{
    rt_status st = RT_OK;
    json_error_t where;
    uint64_t format = 0, n_shards = 0;
    ckpt_manifest m = {0};
    json_t *top = json_loadb(n == 0 ? "" : text, n, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(top)) {
        st = rt_fail(err, RT_CORRUPT, "invalid JSON: %s at line %d column %d",
                     top == NULL ? where.text : "not an object", where.line, where.column);
        goto out;
    }
    if ((st = take_u64(top, "format", 1, &format, err)) != RT_OK) goto out;
    if ((st = take_u64(top, "version", INT64_MAX, &m.version, err)) != RT_OK) goto out;
    if ((st = take_u64(top, "n_shards", UINT32_MAX, &n_shards, err)) != RT_OK) goto out;
    m.n_shards = (uint32_t)n_shards;
    st = take_text(top, "fingerprint", m.fingerprint, sizeof m.fingerprint, err);
    if (st != RT_OK) goto out;
    st = take_text(top, "tokenizer_sha256", m.tokenizer_sha256, sizeof m.tokenizer_sha256, err);
    if (st != RT_OK) goto out;
    if ((st = take_files(json_object_get(top, "files"), &m, err)) != RT_OK) goto out;
    *out = m;
    m = (ckpt_manifest){0};
out:
    ckpt_manifest_free(&m);
    json_decref(top);
    return st;
}

static rt_status check_size(const char *path, uint64_t n_bytes, rt_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return rt_fail(err, RT_CORRUPT, "%s: %s, the manifest lists it", path, strerror(errno));
    if ((uint64_t)info.st_size != n_bytes)
        return rt_fail(err, RT_CORRUPT, "%s has %lld bytes, expected %" PRIu64, path,
                       (long long)info.st_size, n_bytes);
    return RT_OK;
}

static rt_status check_files(const char *folder, const ckpt_manifest *m, bool hash, rt_error *err)
{
    rt_status st;
    char path[PATH_MAX], hex[RT_SHA256_HEX_SIZE];
    for (size_t i = 0; i < m->n_files; i++) {
        const ckpt_file *f = &m->files[i];
        if (!name_is_plain(f->name))
            return rt_fail(err, RT_INVALID, "'%s' is not a plain file name", f->name);
        if ((st = rt_fs_join(path, sizeof path, folder, f->name, err)) != RT_OK) return st;
        if ((st = check_size(path, f->n_bytes, err)) != RT_OK) return st;
        if (!hash) continue;
        if ((st = rt_sha256_file(path, hex, err)) != RT_OK) return st;
        if (strcmp(hex, f->sha256) != 0)
            return rt_fail(err, RT_CORRUPT, "%s has SHA-256 %s, expected %s", path, hex, f->sha256);
    }
    return RT_OK;
}

rt_status ckpt_open(const char *folder, ckpt_manifest *out, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    ckpt_manifest m = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, MANIFEST_NAME, err);
    if (st != RT_OK) goto out;
    if ((st = rt_fs_read(path, MANIFEST_BYTES_MAX, &text, err)) != RT_OK) goto out;
    if ((st = ckpt_manifest_parse(text.data, text.n, &m, err)) != RT_OK) {
        st = rt_wrap(err, st, "%s", path);
        goto out;
    }
    if ((st = check_files(folder, &m, true, err)) != RT_OK) goto out;
    *out = m;
    m = (ckpt_manifest){0};
out:
    ckpt_manifest_free(&m);
    rt_buf_free(&text);
    return st;
}

static bool same_files(const ckpt_manifest *a, const ckpt_manifest *b)
{
    if (a->version != b->version || a->n_files != b->n_files) return false;
    for (size_t i = 0; i < a->n_files; i++)
        if (strcmp(a->files[i].name, b->files[i].name) != 0 ||
            strcmp(a->files[i].sha256, b->files[i].sha256) != 0)
            return false;
    return true;
}

/* Whether step-N is there, whole, and holds what *m says. */
static bool is_committed(const char *folder, const ckpt_manifest *m)
{
    ckpt_manifest found = {0};
    rt_error why = {0};
    bool same = false;
    if (!rt_fs_exists(folder)) return false;
    if (ckpt_open(folder, &found, &why) == RT_OK)
        same = same_files(&found, m);
    else
        rt_log_warn("checkpoint.bad", "folder=%s replaced=true why=\"%s\"", folder, why.text);
    ckpt_manifest_free(&found);
    return same;
}

rt_status ckpt_commit(const char *root, const ckpt_manifest *m, rt_error *err)
{
    rt_status st;
    char partial[PATH_MAX], folder[PATH_MAX], path[PATH_MAX];
    char *text = NULL;
    if ((st = ckpt_folder(root, m->version, true, partial, sizeof partial, err)) != RT_OK) goto out;
    if ((st = ckpt_folder(root, m->version, false, folder, sizeof folder, err)) != RT_OK) goto out;
    if (is_committed(folder, m)) {
        st = rt_fs_remove_tree(partial, err);
        if (st == RT_OK)
            st = rt_fs_sync_dir(root, err); /* that may be what failed the first time */
        goto out;
    }
    if ((st = check_files(partial, m, false, err)) != RT_OK) goto out;
    if ((st = manifest_to_json(m, &text, err)) != RT_OK) goto out;
    if ((st = rt_fs_join(path, sizeof path, partial, MANIFEST_NAME, err)) != RT_OK) goto out;
    if ((st = rt_fs_write_atomic(path, text, strlen(text), err)) != RT_OK) goto out;
    if ((st = rt_fs_sync_dir(partial, err)) != RT_OK) goto out;
    if ((st = rt_fs_remove_tree(folder, err)) != RT_OK) goto out;
    fault_point("coordinator.before_commit");
    if (rename(partial, folder) != 0) {
        st = rt_fail(err, RT_IO, "rename %s to %s: %s", partial, folder, strerror(errno));
        goto out;
    }
    fault_point("coordinator.after_commit");
    st = rt_fs_sync_dir(root, err);
out:
    free(text);
    return st;
}

/* "step-12" or "step-12.partial" to 12; false for any other name. */
static bool version_of_name(const char *name, uint64_t *version, bool *partial)
{
    char digits[24];
    if (strncmp(name, "step-", 5) != 0) return false;
    size_t n = strspn(name + 5, "0123456789");
    if (n == 0 || n >= sizeof digits) return false;
    memcpy(digits, name + 5, n);
    digits[n] = '\0';
    *partial = strcmp(name + 5 + n, PARTIAL) == 0;
    return (*partial || name[5 + n] == '\0') && rt_parse_u64(digits, version);
}

static int compare_versions(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static rt_status list_folders(const char *root, bool want_partial, uint64_t **versions, size_t *n,
                              rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t *list = NULL;
    size_t count = 0;
    const struct dirent *entry;
    DIR *dir = opendir(root);
    if (dir == NULL && errno != ENOENT)
        return rt_fail(err, RT_IO, "open %s: %s", root, strerror(errno));
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        uint64_t version;
        bool partial;
        if (!version_of_name(entry->d_name, &version, &partial) || partial != want_partial)
            continue;
        uint64_t *grown = realloc(list, (count + 1) * sizeof *list);
        if (grown == NULL) {
            st = rt_fail(err, RT_NOMEM, "list of checkpoints in %s", root);
            break;
        }
        list = grown;
        list[count++] = version;
    }
    if (dir != NULL) closedir(dir);
    if (st != RT_OK) {
        free(list);
        return st;
    }
    if (count > 1) qsort(list, count, sizeof *list, compare_versions);
    *versions = list;
    *n = count;
    return RT_OK;
}

rt_status ckpt_list(const char *root, uint64_t **versions, size_t *n, rt_error *err)
{
    return list_folders(root, false, versions, n, err);
}

rt_status ckpt_newest_good(const char *root, ckpt_manifest *out, rt_error *err)
{
    uint64_t *versions = NULL;
    size_t n = 0;
    char folder[PATH_MAX];
    rt_status st = ckpt_list(root, &versions, &n, err);
    if (st != RT_OK) return st;
    st = rt_fail(err, RT_NOTFOUND, "no good checkpoint in %s", root);
    while (n-- > 0) {
        ckpt_manifest m = {0};
        rt_error why = {0};
        if ((st = ckpt_folder(root, versions[n], false, folder, sizeof folder, err)) != RT_OK)
            break;
        st = ckpt_open(folder, &m, &why);
        if (st == RT_OK && m.version != versions[n]) {
            st = rt_fail(&why, RT_CORRUPT, "%s/%s says version %" PRIu64, folder, MANIFEST_NAME,
                         m.version);
            ckpt_manifest_free(&m);
        }
        if (st == RT_OK) {
            *out = m;
            break;
        }
        rt_log_warn("checkpoint.bad", "folder=%s why=\"%s\"", folder, why.text);
        st = rt_fail(err, RT_NOTFOUND, "no good checkpoint in %s", root);
    }
    free(versions);
    return st;
}

static bool is_listed(uint64_t version, const uint64_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == version) return true;
    return false;
}

static rt_status remove_version(const char *root, uint64_t version, bool partial, rt_error *err)
{
    char folder[PATH_MAX];
    rt_status st = ckpt_folder(root, version, partial, folder, sizeof folder, err);
    return st == RT_OK ? rt_fs_remove_tree(folder, err) : st;
}

rt_status ckpt_prune(const char *root, size_t n_keep, const uint64_t *always, size_t n_always,
                     rt_error *err)
{
    uint64_t *versions = NULL, *partials = NULL;
    size_t n = 0, n_partials = 0;
    rt_status st = list_folders(root, false, &versions, &n, err);
    if (st == RT_OK) st = list_folders(root, true, &partials, &n_partials, err);
    for (size_t i = 0; st == RT_OK && i + n_keep < n; i++)
        if (!is_listed(versions[i], always, n_always))
            st = remove_version(root, versions[i], false, err);
    /* A partial folder behind the newest committed one may be in the making. */
    for (size_t i = 0; st == RT_OK && n > 0 && i < n_partials; i++)
        if (partials[i] <= versions[n - 1]) st = remove_version(root, partials[i], true, err);
    free(versions);
    free(partials);
    return st;
}
