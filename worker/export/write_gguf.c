#include "worker/export/write_gguf.h"

#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "worker/runtime/task_file.h"

#define SUFFIX ".gguf"

/* "runs/x/gsm8k.gguf" gives "gsm8k". */
static void name_of(const char *path, char *out, size_t n_out)
{
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    size_t n = strlen(name);
    if (n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0) n -= strlen(SUFFIX);
    snprintf(out, n_out, "%.*s", (int)n, name);
}

/* The last message alone, as the prompt of a student's task; what begins a text is added by the
 * tokenizer. */
static rt_status make_template(const rt_buf *task, rt_buf *out, rt_error *err)
{
    student_spec spec = {0};
    rt_status st = student_spec_parse(STUDENT_SPEC_FILE, task->data, task->n, &spec, err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "{{ '%s: ' + messages[-1]['content'] + '\\n' }}",
                           student_task_name(spec.answers_by));
    student_spec_free(&spec);
    return st;
}

/* Without pieces for bytes, llama.cpp stops at the first character that no piece holds. */
static void warn_of_bytes(const char *path, const piece_list *pieces)
{
    for (size_t i = 0; i < pieces->n; i++)
        if (pieces->pieces[i].type == PIECE_BYTE) return;
    if (pieces->bpe)
        rt_log_warn("gguf.no_bytes",
                    "path=%s llama.cpp refuses texts with characters that are no piece; train with "
                    "tokenizer.byte_fallback",
                    path);
}

rt_status write_gguf_check(const char *path, rt_error *err)
{
    char magic[4] = "";
    if (!rt_fs_exists(path)) return RT_OK;
    FILE *file = fopen(path, "rbe");
    size_t n = file == NULL ? 0 : fread(magic, 1, sizeof magic, file);
    if (file != NULL) fclose(file);
    if (n == sizeof magic && memcmp(magic, "GGUF", 4) == 0) return RT_OK;
    return rt_fail(err, RT_EXISTS,
                   "%s: exists and is no GGUF file; choose another --output or remove it", path);
}

rt_status write_gguf(const gguf_parts *parts, char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    char name[256];
    piece_list pieces = {0};
    rt_buf template = {0};
    bool has_task = parts->task != NULL && parts->task->n > 0;
    rt_status st = write_gguf_check(parts->path, err);
    if (st != RT_OK) return st;
    name_of(parts->path, name, sizeof name);
    st = piece_list_read(parts->tokenizer->data, parts->tokenizer->n, &pieces, err);
    if (st == RT_OK && has_task) st = make_template(parts->task, &template, err);
    if (st == RT_OK) {
        gguf_model_options how = {.type = parts->type,
                                  .name = parts->name != NULL ? parts->name : name,
                                  .chat_template = template.data,
                                  .task = has_task ? parts->task->data : NULL};
        warn_of_bytes(parts->path, &pieces);
        st =
            gguf_model_write(parts->path, parts->config, parts->source, &pieces, &how, sha256, err);
    }
    piece_list_free(&pieces);
    rt_buf_free(&template);
    return st;
}
