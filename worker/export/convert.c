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
#include "worker/export/write_gguf.h"
#include "worker/runtime/task_file.h"

/* The tokenizer of the output, and the proof that it loads. */
static rt_status write_tokenizer(const convert_request *ask, const model_files *m,
                                 const char *folder, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf bytes = {0};
    tokenizer *t = NULL;
    rt_status st = model_files_tokenizer(m, ask->tokenizer, &bytes, err);
    if (st == RT_OK)
        st = rt_fs_join(path, sizeof path, folder, tokenizer_file_name(model_files_config(m)), err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, bytes.data, bytes.n, err);
    if (st == RT_OK) st = tokenizer_load(path, &t, err);
    if (st == RT_OK) st = tokenizer_config_write(t, model_files_config(m), folder, err);
    tokenizer_free(t);
    rt_buf_free(&bytes);
    return st;
}

/* retort.json of a student, when the input has one. */
static rt_status write_task(const model_files *m, const char *folder, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    student_spec spec = {0};
    rt_status st = model_files_task(m, &text, err);
    if (st == RT_OK && text.n > 0) {
        st = student_spec_parse(STUDENT_SPEC_FILE, text.data, text.n, &spec, err);
        if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, STUDENT_SPEC_FILE, err);
        if (st == RT_OK) st = rt_fs_write_atomic(path, text.data, text.n, err);
    }
    student_spec_free(&spec);
    rt_buf_free(&text);
    return st;
}

rt_status convert_dtype_of(gguf_tensor_type type, tensor_dtype *out, rt_error *err)
{
    switch (type) {
    case GGUF_TENSOR_F32: *out = TENSOR_F32; return RT_OK;
    case GGUF_TENSOR_F16: *out = TENSOR_F16; return RT_OK;
    case GGUF_TENSOR_BF16: *out = TENSOR_BF16; return RT_OK;
    case GGUF_TENSOR_Q8_0: break;
    }
    return rt_fail(err, RT_INVALID, "q8_0 is a type of GGUF files; a folder has f32, f16 or bf16");
}

static rt_status write_folder(const convert_request *ask, const model_files *m, const char *folder,
                              convert_result *result, rt_error *err)
{
    weight_source source = model_files_source(m);
    tensor_dtype dtype = TENSOR_F32;
    rt_status st = convert_dtype_of(ask->type, &dtype, err);
    if (st == RT_OK) st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = write_tokenizer(ask, m, folder, err);
    if (st == RT_OK)
        st = hf_weights_write_from(folder, &source, dtype, ask->shard_bytes_max, result->sha256,
                                   err);
    if (st == RT_OK) st = hf_config_write(folder, model_files_config(m), dtype, err);
    if (st == RT_OK) st = write_task(m, folder, err);
    return st == RT_OK ? rt_fs_sync_dir(folder, err) : st;
}

static rt_status check_folder(const char *output, rt_error *err)
{
    if (!rt_fs_exists(output) || rmdir(output) == 0) return RT_OK;
    return rt_fail(err, RT_EXISTS, "%s: exists; choose another --output or remove it", output);
}

static rt_status to_folder(const convert_request *ask, const model_files *m, const char *output,
                           convert_result *result, rt_error *err)
{
    char folder[PATH_MAX];
    rt_error ignored;
    snprintf(folder, sizeof folder, "%s.tmp-%ld", output, (long)getpid());
    rt_status st = write_folder(ask, m, folder, result, err);
    if (st == RT_OK) st = replace_folder(folder, output, err);
    if (st != RT_OK && rt_fs_remove_tree(folder, &ignored) != RT_OK)
        rt_log_warn("convert.left_behind", "folder=%s", folder);
    return st;
}

static rt_status to_gguf(const convert_request *ask, const model_files *m, const char *output,
                         convert_result *result, rt_error *err)
{
    rt_buf pieces = {0}, task = {0};
    weight_source source = model_files_source(m);
    rt_status st = model_files_tokenizer(m, ask->tokenizer, &pieces, err);
    if (st == RT_OK) st = model_files_task(m, &task, err);
    if (st == RT_OK) {
        gguf_parts parts = {.path = output,
                            .config = model_files_config(m),
                            .source = &source,
                            .tokenizer = &pieces,
                            .task = &task,
                            .type = ask->type};
        st = write_gguf(&parts, result->sha256, err);
    }
    rt_buf_free(&pieces);
    rt_buf_free(&task);
    return st;
}

rt_status convert_model(const convert_request *ask, convert_result *out, rt_error *err)
{
    model_files *m = NULL;
    char output[PATH_MAX - 32];
    convert_result result = {0};
    bool one_file = ask->to == MODEL_FORMAT_GGUF;
    size_t n = strlen(ask->output);
    while (n > 1 && ask->output[n - 1] == '/') n--;
    if (n == 0 || n >= sizeof output)
        return rt_fail(err, RT_INVALID, "output: found '%.64s', expected a path", ask->output);
    memcpy(output, ask->output, n);
    output[n] = '\0';
    rt_status st = one_file ? write_gguf_check(output, err) : check_folder(output, err);
    if (st == RT_OK) st = model_files_open(ask->input, ask->from, &m, err);
    if (st != RT_OK) return st;
    result.from = model_files_format(m);
    result.n_parameters = model_files_table(m)->n_total;
    st = one_file ? to_gguf(ask, m, output, &result, err) : to_folder(ask, m, output, &result, err);
    if (st == RT_OK) *out = result;
    model_files_close(m);
    return st;
}
