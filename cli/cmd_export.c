#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/sizes.h"
#include "common/base/fs.h"
#include "common/ckpt/gguf_model.h"
#include "common/ckpt/hf_model.h"
#include "worker/export/export.h"
#include "worker/runtime/run_path.h"

/* With --run and without --config, the run's own settings. */
static rt_status load_config(const options *o, config **out, rt_error *err)
{
    char path[PATH_MAX];
    const char *run = options_value(o, "--run");
    if (run == NULL || options_has(o, "--config")) return options_load_config(o, out, err);
    rt_status st = rt_fs_join(path, sizeof path, run, "config.yaml", err);
    return st == RT_OK ? config_load(path, options_sets(o), out, err) : st;
}

/* A folder, or with --format gguf a file; what the settings say unless --dtype does. */
static rt_status read_form(const options *o, const config *c, export_request *ask, rt_error *err)
{
    static const gguf_tensor_type types[] = {[TENSOR_F32] = GGUF_TENSOR_F32,
                                             [TENSOR_F16] = GGUF_TENSOR_F16,
                                             [TENSOR_BF16] = GGUF_TENSOR_BF16};
    const char *format = options_value(o, "--format"), *dtype = options_value(o, "--dtype");
    rt_status st = RT_OK;
    ask->to_gguf = strcmp(format, "gguf") == 0;
    if (!ask->to_gguf && strcmp(format, "hf") != 0)
        return rt_fail(err, RT_INVALID, "--format: found '%.64s', expected hf or gguf", format);
    ask->dtype = export_dtype_of(c->export_dtype);
    ask->type = types[ask->dtype];
    if (dtype != NULL && ask->to_gguf)
        st = gguf_type_parse(dtype, &ask->type, err);
    else if (dtype != NULL)
        st = export_dtype_parse(dtype, &ask->dtype, err);
    if (st != RT_OK) return rt_wrap(err, st, "--dtype");
    st = size_parse(options_value(o, "--max-shard-size"), &ask->shard_bytes_max, err);
    return st == RT_OK ? st : rt_wrap(err, st, "--max-shard-size");
}

static rt_status read_request(const options *o, const config *c, char run_dir[PATH_MAX],
                              char output[PATH_MAX], export_request *out, rt_error *err)
{
    export_request ask = {.run_dir = run_dir, .output = output};
    const char *run = options_value(o, "--run"), *place = options_value(o, "--output");
    rt_status st = read_form(o, c, &ask, err);
    if (st != RT_OK) return st;
    if (run != NULL)
        snprintf(run_dir, PATH_MAX, "%s", run);
    else if ((st = run_path(c, "", run_dir, PATH_MAX, err)) != RT_OK)
        return st;
    const char *usual = ask.to_gguf ? "student.gguf" : "student";
    if (place != NULL)
        snprintf(output, PATH_MAX, "%s", place);
    else if ((st = rt_fs_join(output, PATH_MAX, run_dir, usual, err)) != RT_OK)
        return st;
    if ((st = export_version_parse(options_value(o, "--version"), &ask.which, err)) != RT_OK)
        return rt_wrap(err, st, "--version");
    *out = ask;
    return RT_OK;
}

static void print_result(const options *o, const export_request *ask, const export_result *done)
{
    if (!options_json(o)) {
        const char *name = ask->to_gguf ? "" : "/" HF_WEIGHTS_NAME;
        char path[PATH_MAX];
        bool sharded = !ask->to_gguf &&
                       rt_fs_join(path, sizeof path, ask->output, HF_INDEX_NAME, NULL) == RT_OK &&
                       rt_fs_exists(path);
        printf("%s  %s%s\n", done->weights_sha256, ask->output, sharded ? "/" HF_INDEX_NAME : name);
        return;
    }
    json_t *root =
        json_pack("{s:s, s:I, s:I, s:s}", ask->to_gguf ? "file" : "folder", ask->output, "version",
                  (json_int_t)done->version, "parameters", (json_int_t)done->n_parameters,
                  "weights_sha256", done->weights_sha256);
    if (root != NULL) json_dumpf(root, stdout, 0);
    printf("\n");
    json_decref(root);
}

static int run_export(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    export_request ask;
    export_result done;
    char run_dir[PATH_MAX], output[PATH_MAX];
    int code = EXIT_CODE_OK;
    if (load_config(o, &c, &err) != RT_OK ||
        read_request(o, c, run_dir, output, &ask, &err) != RT_OK ||
        export_student(c, &ask, &done, &err) != RT_OK)
        code = command_fail(o, &err);
    else
        print_result(o, &ask, &done);
    config_free(c);
    return code;
}

static const option_def export_options[] = {
    {"--run", "FOLDER", "folder of the run (default: the one the settings name)", NULL},
    {"--version", "VERSION", "which checkpoint: best, latest or a number of steps", "best"},
    {"--format", "FORMAT", "hf: a folder for Hugging Face's programs; gguf: a file", "hf"},
    {"--dtype", "DTYPE", "f32, f16, bf16, or for gguf q8_0 (default: export.dtype)", NULL},
    {"--max-shard-size", "SIZE", "hf: largest file of weights (500MB, 5GB; 0: one file)", "5GB"},
    {"--output", "PATH", "where to (default: student/ or student.gguf in the run's folder)", NULL},
    {0},
};

const command cmd_export = {
    .name = "export",
    .summary = "write the trained student as files that others can load",
    .synopsis = "--config FILE [--version VERSION] [--format FORMAT] [--dtype DTYPE]\n"
                "[--output PATH]",
    .description =
        "Reads a checkpoint of the run, whatever the number of shards that wrote it,\n"
        "checks it, and writes a folder in Hugging Face's layout: model.safetensors,\n"
        "config.json, generation_config.json, tokenizer.model (T5: spiece.model),\n"
        "tokenizer_config.json, retort.json (the task, for `retort predict`) and\n"
        "README.md. With --format gguf it writes one file for llama.cpp, with tokenizer,\n"
        "task and chat template inside. The output appears whole or not at all; an\n"
        "earlier export in its place is replaced. Prints the SHA-256 of the weights\n"
        "(of the whole file with gguf). With --run and without --config the run's own\n"
        "config.yaml is used.\n",
    .options = export_options,
    .examples = "retort export --config gsm8k.yaml --output student\n"
                "retort export --run runs/gsm8k --version latest --dtype bf16\n"
                "retort export --run runs/gsm8k --format gguf --dtype q8_0\n",
    .run = run_export,
};
