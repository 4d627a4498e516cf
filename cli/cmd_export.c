#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "cli/command.h"
#include "common/base/fs.h"
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

static rt_status read_request(const options *o, const config *c, char run_dir[PATH_MAX],
                              char output[PATH_MAX], export_request *out, rt_error *err)
{
    export_request ask = {.run_dir = run_dir, .output = output};
    const char *run = options_value(o, "--run"), *folder = options_value(o, "--output");
    const char *dtype = options_value(o, "--dtype");
    rt_status st = RT_OK;
    if (run != NULL)
        snprintf(run_dir, PATH_MAX, "%s", run);
    else if ((st = run_path(c, "", run_dir, PATH_MAX, err)) != RT_OK)
        return st;
    if (folder != NULL)
        snprintf(output, PATH_MAX, "%s", folder);
    else if ((st = rt_fs_join(output, PATH_MAX, run_dir, "student", err)) != RT_OK)
        return st;
    if ((st = export_version_parse(options_value(o, "--version"), &ask.which, err)) != RT_OK)
        return rt_wrap(err, st, "--version");
    ask.dtype = export_dtype_of(c->export_dtype);
    if (dtype != NULL && (st = export_dtype_parse(dtype, &ask.dtype, err)) != RT_OK)
        return rt_wrap(err, st, "--dtype");
    *out = ask;
    return RT_OK;
}

static void print_result(const options *o, const export_request *ask, const export_result *done)
{
    if (!options_json(o)) {
        printf("%s  %s/model.safetensors\n", done->weights_sha256, ask->output);
        return;
    }
    json_t *root = json_pack(
        "{s:s, s:I, s:I, s:s}", "folder", ask->output, "version", (json_int_t)done->version,
        "parameters", (json_int_t)done->n_parameters, "weights_sha256", done->weights_sha256);
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
    {"--dtype", "DTYPE", "f32, f16 or bf16 (default: export.dtype)", NULL},
    {"--output", "FOLDER", "where to (default: student/ in the run's folder)", NULL},
    {0},
};

const command cmd_export = {
    .name = "export",
    .summary = "write the trained student as a folder others can load",
    .synopsis = "--config FILE [--version VERSION] [--dtype DTYPE] [--output FOLDER]",
    .description = "Reads a checkpoint of the run, whatever the number of shards that wrote it,\n"
                   "checks it, and writes a folder in Hugging Face's layout: model.safetensors,\n"
                   "config.json, generation_config.json, tokenizer.model (T5: spiece.model),\n"
                   "tokenizer_config.json, retort.json (the task, for `retort predict`) and\n"
                   "README.md. The folder appears whole or not at all; an earlier export in its\n"
                   "place is replaced. Prints the SHA-256 of the weights. With --run and without\n"
                   "--config the run's own config.yaml is used.\n",
    .options = export_options,
    .examples = "retort export --config gsm8k.yaml --output student\n"
                "retort export --run runs/gsm8k --version latest --dtype bf16\n",
    .run = run_export,
};
