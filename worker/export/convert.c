#include "worker/export/convert.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/hf_model.h"
#include "worker/export/replace_folder.h"
#include "worker/export/student_texts.h"
#include "worker/runtime/task_file.h"

/* The tokenizer of the output, and the proof that it loads. */
static rt_status write_tokenizer(const convert_request *ask, const model_files *m,
                                 const char *folder, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf bytes = {0};
    tokenizer *t = NULL;
    rt_status st = model_files_tokenizer(m, ask->tokenizer, &bytes, err);
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, "tokenizer.model", err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, bytes.data, bytes.n, err);
    if (st == RT_OK) st = tokenizer_load(path, &t, err);
    if (st == RT_OK) st = tokenizer_config_write(t, model_files_config(m), folder, err);
    tokenizer_free(t);
    rt_buf_free(&bytes);
    return st;
}

/* retort.json of a student, when the input has one. */
static rt_status copy_task(const convert_request *ask, const char *folder, rt_error *err)
{
    rt_error why = {0};
    student_spec spec = {0};
    rt_status st = student_spec_read(ask->input, &spec, &why);
    if (st != RT_OK) return RT_OK; /* a model that is no student */
    st = student_spec_write(&spec, folder, err);
    student_spec_free(&spec);
    return st;
}

static rt_status write_folder(const convert_request *ask, const model_files *m, const char *folder,
                              convert_result *result, rt_error *err)
{
    weight_source source = model_files_source(m);
    rt_status st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = write_tokenizer(ask, m, folder, err);
    if (st == RT_OK)
        st = hf_weights_write_from(folder, &source, ask->dtype, ask->shard_bytes_max,
                                   result->weights_sha256, err);
    if (st == RT_OK) st = hf_config_write(folder, model_files_config(m), ask->dtype, err);
    if (st == RT_OK) st = copy_task(ask, folder, err);
    return st == RT_OK ? rt_fs_sync_dir(folder, err) : st;
}

static rt_status check_output(const char *output, rt_error *err)
{
    if (!rt_fs_exists(output) || rmdir(output) == 0) return RT_OK;
    return rt_fail(err, RT_EXISTS, "%s: exists; choose another --output or remove it", output);
}

rt_status convert_model(const convert_request *ask, convert_result *out, rt_error *err)
{
    rt_status st = RT_OK;
    model_files *m = NULL;
    char output[PATH_MAX - 32], folder[PATH_MAX] = "";
    convert_result result = {0};
    size_t n = strlen(ask->output);
    while (n > 1 && ask->output[n - 1] == '/') n--;
    if (n == 0 || n >= sizeof output)
        return rt_fail(err, RT_INVALID, "output: found '%.64s', expected a folder", ask->output);
    memcpy(output, ask->output, n);
    output[n] = '\0';
    if ((st = check_output(output, err)) != RT_OK) return st;
    if ((st = model_files_open(ask->input, ask->from, &m, err)) != RT_OK) return st;
    result.from = model_files_format(m);
    result.n_parameters = model_files_table(m)->n_total;
    snprintf(folder, sizeof folder, "%s.tmp-%ld", output, (long)getpid());
    st = write_folder(ask, m, folder, &result, err);
    if (st == RT_OK) st = replace_folder(folder, output, err);
    if (st == RT_OK) {
        *out = result;
    } else {
        rt_error ignored;
        if (rt_fs_remove_tree(folder, &ignored) != RT_OK)
            rt_log_warn("convert.left_behind", "folder=%s", folder);
    }
    model_files_close(m);
    return st;
}
