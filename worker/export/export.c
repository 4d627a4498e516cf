#include "worker/export/export.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/hf_model.h"
#include "common/ckpt/manifest.h"
#include "worker/export/replace_folder.h"
#include "worker/export/student_texts.h"
#include "worker/export/write_gguf.h"
#include "worker/model_shape/model_shape.h"

#define TOKENIZER_BYTES_MAX ((size_t)256 << 20)

/* All that is read before the first byte is written. */
typedef struct sources {
    ckpt_reader *checkpoint;
    char tokenizer_path[PATH_MAX];
    tokenizer *tokenizer;
    model_config shape;
    param_table table;
    ckpt_tensor *places; /* [table.n_params] */
    student_spec spec;
} sources;

static void close_sources(sources *s)
{
    ckpt_reader_close(s->checkpoint);
    tokenizer_free(s->tokenizer);
    param_table_free(&s->table);
    free(s->places);
    student_spec_free(&s->spec);
}

tensor_dtype export_dtype_of(export_dtype dtype)
{
    switch (dtype) {
    case EXPORT_F32: return TENSOR_F32;
    case EXPORT_F16: return TENSOR_F16;
    case EXPORT_BF16: return TENSOR_BF16;
    }
    return TENSOR_F32;
}

rt_status export_dtype_parse(const char *text, tensor_dtype *out, rt_error *err)
{
    static const char *const names[] = {
        [TENSOR_F32] = "f32", [TENSOR_F16] = "f16", [TENSOR_BF16] = "bf16"};
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (tensor_dtype)i;
        return RT_OK;
    }
    return rt_fail(err, RT_INVALID, "dtype: found '%s', expected f32, f16 or bf16", text);
}

/* ---- reading ---- */

static rt_status open_checkpoint(const char *run_dir, uint64_t version, sources *s, rt_error *err)
{
    char root[PATH_MAX], folder[PATH_MAX];
    rt_status st = rt_fs_join(root, sizeof root, run_dir, "checkpoints", err);
    if (st == RT_OK) st = ckpt_folder(root, version, false, folder, sizeof folder, err);
    if (st != RT_OK) return st;
    if (!rt_fs_exists(folder))
        return rt_fail(err, RT_NOTFOUND,
                       "%s: does not exist; --version latest takes the newest checkpoint", folder);
    return ckpt_reader_open(folder, &s->checkpoint, err);
}

static rt_status open_tokenizer(const config *c, const char *run_dir, sources *s, rt_error *err)
{
    rt_status st =
        rt_fs_join(s->tokenizer_path, sizeof s->tokenizer_path, run_dir, "tokenizer.model", err);
    if (st != RT_OK) return st;
    if (!rt_fs_exists(s->tokenizer_path) && c->tokenizer.model[0] != '\0')
        snprintf(s->tokenizer_path, sizeof s->tokenizer_path, "%s", c->tokenizer.model);
    if ((st = tokenizer_load(s->tokenizer_path, &s->tokenizer, err)) != RT_OK) return st;
    const char *expected = ckpt_reader_manifest(s->checkpoint)->tokenizer_sha256;
    const char *found = tokenizer_sha256(s->tokenizer);
    if (expected[0] != '\0' && strcmp(expected, found) != 0)
        return rt_fail(err, RT_CORRUPT,
                       "%s: found SHA-256 %s, expected %s, with which the checkpoint was trained",
                       s->tokenizer_path, found, expected);
    return RT_OK;
}

static rt_status find_weights(sources *s, rt_error *err)
{
    rt_status st = param_table_build(&s->shape, &s->table, err);
    if (st != RT_OK) return st;
    s->places = rt_calloc(s->table.n_params, sizeof *s->places);
    if (s->places == NULL) return rt_fail(err, RT_NOMEM, "%zu parameters", s->table.n_params);
    for (size_t i = 0; st == RT_OK && i < s->table.n_params; i++) {
        const param *p = &s->table.params[i];
        if (p->alias_of < 0)
            st = ckpt_reader_find(s->checkpoint, p->name, p->n, &s->places[i], err);
    }
    return st;
}

static void read_checkpoint(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const ckpt_tensor *t = &((const sources *)context)->places[i_param];
    safetensors_read_range(t->file, t->entry, first, n, out);
}

static weight_source weights_of(const sources *s)
{
    return (weight_source){.table = &s->table, .read = read_checkpoint, .context = s};
}

static rt_status open_sources(const config *c, const char *run_dir, uint64_t version, sources *s,
                              rt_error *err)
{
    rt_status st = open_checkpoint(run_dir, version, s, err);
    if (st != RT_OK) return st;
    if ((st = open_tokenizer(c, run_dir, s, err)) != RT_OK) return st;
    vocabulary v = {.n_vocab = (uint32_t)tokenizer_size(s->tokenizer),
                    .bos_id = tokenizer_bos(s->tokenizer),
                    .eos_id = tokenizer_eos(s->tokenizer),
                    .pad_id = tokenizer_pad(s->tokenizer)};
    if ((st = model_shape_of(c, &v, &s->shape, err)) != RT_OK) return st;
    if ((st = find_weights(s, err)) != RT_OK)
        return rt_wrap(err, st, "%s version %" PRIu64, run_dir, version);
    return student_spec_of(c, &s->spec, err);
}

/* ---- writing ---- */

static rt_status copy_tokenizer(const sources *s, const char *folder, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf bytes = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, tokenizer_file_name(&s->shape), err);
    if (st == RT_OK) st = rt_fs_read(s->tokenizer_path, TOKENIZER_BYTES_MAX, &bytes, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, bytes.data, bytes.n, err);
    rt_buf_free(&bytes);
    return st;
}

static rt_status write_all(const config *c, const export_request *ask, const sources *s,
                           const char *folder, export_result *result, rt_error *err)
{
    weight_source weights = weights_of(s);
    rt_status st = rt_fs_mkdirs(folder, err);
    if (st != RT_OK) return st;
    st = hf_weights_write_from(folder, &weights, ask->dtype, ask->shard_bytes_max,
                               result->weights_sha256, err);
    if (st != RT_OK) return st;
    if ((st = hf_config_write(folder, &s->shape, ask->dtype, err)) != RT_OK) return st;
    if ((st = copy_tokenizer(s, folder, err)) != RT_OK) return st;
    if ((st = tokenizer_config_write(s->tokenizer, &s->shape, folder, err)) != RT_OK) return st;
    if ((st = student_spec_write(&s->spec, folder, err)) != RT_OK) return st;
    st = model_card_write(c, &s->shape, &s->spec, ask, result, folder, err);
    return st == RT_OK ? rt_fs_sync_dir(folder, err) : st;
}

/* Only what export wrote is replaced: a slip of --output must not remove anything else. */
static rt_status check_output(const char *output, rt_error *err)
{
    char path[PATH_MAX];
    if (!rt_fs_exists(output) || rmdir(output) == 0) return RT_OK;
    rt_status st = rt_fs_join(path, sizeof path, output, STUDENT_SPEC_FILE, err);
    if (st != RT_OK) return st;
    if (rt_fs_exists(path)) return RT_OK;
    return rt_fail(err, RT_EXISTS,
                   "%s: exists and is not an exported student (it has no %s); choose another "
                   "--output or remove it",
                   output, STUDENT_SPEC_FILE);
}

static rt_status to_folder(const config *c, const export_request *ask, const sources *s,
                           const char *output, export_result *result, rt_error *err)
{
    char folder[PATH_MAX];
    rt_error ignored;
    rt_status st = check_output(output, err);
    if (st != RT_OK) return st;
    snprintf(folder, sizeof folder, "%s.tmp-%ld", output, (long)getpid());
    st = write_all(c, ask, s, folder, result, err);
    if (st == RT_OK) st = replace_folder(folder, output, err);
    if (st != RT_OK && rt_fs_remove_tree(folder, &ignored) != RT_OK)
        rt_log_warn("export.left_behind", "folder=%s", folder);
    return st;
}

static rt_status to_file(const config *c, const export_request *ask, const sources *s,
                         const char *output, export_result *result, rt_error *err)
{
    rt_buf pieces = {0}, task = {0};
    weight_source weights = weights_of(s);
    rt_status st = rt_fs_read(s->tokenizer_path, TOKENIZER_BYTES_MAX, &pieces, err);
    if (st == RT_OK) st = student_spec_print(&s->spec, &task, err);
    if (st == RT_OK) {
        gguf_parts parts = {.path = output,
                            .name = c->name,
                            .config = &s->shape,
                            .source = &weights,
                            .tokenizer = &pieces,
                            .task = &task,
                            .type = ask->type};
        st = write_gguf(&parts, result->weights_sha256, err);
    }
    rt_buf_free(&pieces);
    rt_buf_free(&task);
    return st;
}

rt_status export_student(const config *c, const export_request *ask, export_result *out,
                         rt_error *err)
{
    rt_status st = RT_OK;
    sources *s = NULL;
    char output[PATH_MAX - 32];
    export_result result = {0};
    size_t n = strlen(ask->output);
    while (n > 1 && ask->output[n - 1] == '/') n--;
    if (n == 0 || n >= sizeof output)
        return rt_fail(err, RT_INVALID, "output: found '%.64s', expected a path", ask->output);
    memcpy(output, ask->output, n);
    output[n] = '\0';
    if ((s = rt_calloc(1, sizeof *s)) == NULL) return rt_fail(err, RT_NOMEM, "export");
    if ((st = export_find_version(ask->run_dir, ask->which, &result.version, err)) != RT_OK)
        goto out;
    if ((st = open_sources(c, ask->run_dir, result.version, s, err)) != RT_OK) goto out;
    result.n_parameters = s->table.n_total;
    if (ask->to_gguf)
        st = to_file(c, ask, s, output, &result, err);
    else
        st = to_folder(c, ask, s, output, &result, err);
    if (st != RT_OK) goto out;
    rt_log_info("export.done", "output=%s version=%" PRIu64 " parameters=%zu", output,
                result.version, result.n_parameters);
    *out = result;
out:
    close_sources(s);
    free(s);
    return st;
}
