/* Tensors of a checkpoint by name. A folder has few files and a lookup scans them in order: the
 * file's own index does the rest. */
#include <limits.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/fs.h"
#include "common/ckpt/manifest.h"

struct ckpt_reader {
    ckpt_manifest manifest;
    safetensors **files; /* [manifest.n_files] */
};

rt_status ckpt_reader_open(const char *folder, ckpt_reader **out, rt_error *err)
{
    rt_status st;
    char path[PATH_MAX];
    ckpt_reader *r = rt_calloc(1, sizeof *r);
    if (r == NULL) return rt_fail(err, RT_NOMEM, "checkpoint %s", folder);
    if ((st = ckpt_open(folder, &r->manifest, err)) != RT_OK) goto out;
    r->files = rt_calloc(r->manifest.n_files, sizeof(safetensors *));
    if (r->files == NULL) {
        st = rt_fail(err, RT_NOMEM, "checkpoint %s", folder);
        goto out;
    }
    for (size_t i = 0; i < r->manifest.n_files; i++) {
        st = rt_fs_join(path, sizeof path, folder, r->manifest.files[i].name, err);
        if (st == RT_OK) st = safetensors_open(path, &r->files[i], err);
        if (st != RT_OK) goto out;
    }
    *out = r;
    r = NULL;
out:
    ckpt_reader_close(r);
    return st;
}

void ckpt_reader_close(ckpt_reader *r)
{
    if (r == NULL) return;
    for (size_t i = 0; r->files != NULL && i < r->manifest.n_files; i++)
        safetensors_close(r->files[i]);
    free(r->files);
    ckpt_manifest_free(&r->manifest);
    free(r);
}

rt_status ckpt_reader_find(const ckpt_reader *r, const char *name, size_t n, ckpt_tensor *out,
                           rt_error *err)
{
    for (size_t i = 0; i < r->manifest.n_files; i++) {
        const tensor_entry *entry = safetensors_find(r->files[i], name);
        if (entry == NULL) continue;
        if (entry->n != n)
            return rt_fail(err, RT_CORRUPT, "%s: tensor %s has %zu elements, expected %zu",
                           r->manifest.files[i].name, name, entry->n, n);
        *out = (ckpt_tensor){.file = r->files[i], .entry = entry};
        return RT_OK;
    }
    return rt_fail(err, RT_CORRUPT, "checkpoint of version %llu has no tensor %s",
                   (unsigned long long)r->manifest.version, name);
}

rt_status ckpt_reader_get(const ckpt_reader *r, const char *name, size_t n, float *out,
                          rt_error *err)
{
    ckpt_tensor t = {0};
    rt_status st = ckpt_reader_find(r, name, n, &t, err);
    if (st == RT_OK) safetensors_read_f32(t.file, t.entry, out);
    return st;
}

const ckpt_manifest *ckpt_reader_manifest(const ckpt_reader *r)
{
    return &r->manifest;
}
