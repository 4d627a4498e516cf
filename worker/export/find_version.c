#include "worker/export/find_version.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/manifest.h"

#define BEST_BYTES_MAX ((size_t)1 << 20)

rt_status export_version_parse(const char *text, export_version *out, rt_error *err)
{
    export_version which = {.pick = EXPORT_NUMBER};
    if (strcmp(text, "best") == 0)
        which.pick = EXPORT_BEST;
    else if (strcmp(text, "latest") == 0)
        which.pick = EXPORT_LATEST;
    else if (!rt_parse_u64(text, &which.number))
        return rt_fail(err, RT_INVALID, "version: found '%s', expected best, latest or a number",
                       text);
    *out = which;
    return RT_OK;
}

static rt_status find_latest(const char *root, uint64_t *out, rt_error *err)
{
    ckpt_manifest manifest = {0};
    rt_status st = ckpt_newest_good(root, &manifest, err);
    if (st != RT_OK) return st;
    *out = manifest.version;
    ckpt_manifest_free(&manifest);
    return RT_OK;
}

static rt_status parse_best(const char *path, const rt_buf *text, uint64_t *out, rt_error *err)
{
    json_error_t trouble;
    json_t *root = json_loadb(text->n > 0 ? text->data : "", text->n, 0, &trouble);
    const json_t *version = json_object_get(root, "version");
    rt_status st = RT_OK;
    if (root == NULL)
        st = rt_fail(err, RT_CORRUPT, "%s: line %d: %s", path, trouble.line, trouble.text);
    else if (!json_is_integer(version) || json_integer_value(version) < 0)
        st = rt_fail(err, RT_CORRUPT, "%s: found no \"version\", expected a number of steps", path);
    else
        *out = (uint64_t)json_integer_value(version);
    json_decref(root);
    return st;
}

static rt_status find_best(const char *root, uint64_t *out, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    rt_error why = {0};
    rt_status st = rt_fs_join(path, sizeof path, root, "best.json", err);
    if (st != RT_OK) return st;
    st = rt_fs_read(path, BEST_BYTES_MAX, &text, &why);
    if (st == RT_OK) {
        st = parse_best(path, &text, out, err);
    } else if (st == RT_NOTFOUND) {
        rt_log_info("export.no_best", "path=%s, taking the newest checkpoint", path);
        st = find_latest(root, out, err);
    } else {
        st = rt_fail(err, st, "%s", why.text);
    }
    rt_buf_free(&text);
    return st;
}

rt_status export_find_version(const char *run_dir, export_version which, uint64_t *out,
                              rt_error *err)
{
    char root[PATH_MAX];
    rt_status st = rt_fs_join(root, sizeof root, run_dir, "checkpoints", err);
    if (st != RT_OK) return st;
    switch (which.pick) {
    case EXPORT_BEST: return find_best(root, out, err);
    case EXPORT_LATEST: return find_latest(root, out, err);
    case EXPORT_NUMBER: *out = which.number; return RT_OK;
    }
    return rt_fail(err, RT_INVALID, "version");
}
