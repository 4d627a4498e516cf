#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/sizes.h"
#include "common/base/fs.h"
#include "common/ckpt/gguf_model.h"
#include "common/ckpt/hf_model.h"
#include "worker/export/dataset_rows.h"
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

/* The folder of the run, and --output or else `usual` in that folder. */
static rt_status find_places(const options *o, const config *c, const char *usual,
                             char run_dir[PATH_MAX], char output[PATH_MAX], rt_error *err)
{
    rt_status st = RT_OK;
    const char *run = options_value(o, "--run"), *place = options_value(o, "--output");
    if (run != NULL)
        snprintf(run_dir, PATH_MAX, "%s", run);
    else if ((st = run_path(c, "", run_dir, PATH_MAX, err)) != RT_OK)
        return st;
    if (place == NULL) return rt_fs_join(output, PATH_MAX, run_dir, usual, err);
    snprintf(output, PATH_MAX, "%s", place);
    return RT_OK;
}

static rt_status read_request(const options *o, const config *c, char run_dir[PATH_MAX],
                              char output[PATH_MAX], export_request *out, rt_error *err)
{
    export_request ask = {.run_dir = run_dir, .output = output};
    rt_status st = read_form(o, c, &ask, err);
    if (st != RT_OK) return st;
    const char *usual = ask.to_gguf ? "student.gguf" : "student";
    if ((st = find_places(o, c, usual, run_dir, output, err)) != RT_OK) return st;
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

/* ---- rows of the dataset ---- */

static rt_status read_rows_request(const options *o, const config *c, char run_dir[PATH_MAX],
                                   char output[PATH_MAX], dataset_rows_request *ask, rt_error *err)
{
    static const char *const others[] = {"--version", "--format", "--dtype", "--max-shard-size"};
    char usual[64];
    for (size_t i = 0; i < RT_COUNT(others); i++)
        if (options_has(o, others[i]))
            return rt_fail(err, RT_INVALID,
                           "%s: is about a student, and does not go with --dataset", others[i]);
    rt_status st = dataset_rows_format_parse(options_value(o, "--dataset"), &ask->format, err);
    if (st != RT_OK) return rt_wrap(err, st, "--dataset");
    ask->label_only = options_has(o, "--label-only");
    snprintf(usual, sizeof usual, "%s.jsonl", dataset_rows_format_name(ask->format));
    return find_places(o, c, usual, run_dir, output, err);
}

static void print_rows(const options *o, const dataset_rows_request *ask,
                       const dataset_rows_result *done)
{
    if (options_json(o)) {
        json_t *root = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "file", ask->output, "format",
            dataset_rows_format_name(ask->format), "rows", (json_int_t)done->n_rows, "records",
            (json_int_t)done->n_records, "from_others", (json_int_t)done->n_from_others,
            "from_rejected_before", (json_int_t)done->n_from_requeue, "known_wrong",
            (json_int_t)done->n_known_wrong, "sha256", done->sha256);
        if (root != NULL) json_dumpf(root, stdout, 0);
        printf("\n");
        json_decref(root);
        return;
    }
    printf("%s  %s\n", done->sha256, ask->output);
    fprintf(stderr, "%" PRIu64 " rows of %" PRIu64 " labelled records\n", done->n_rows,
            done->n_records);
    if (ask->format == ROWS_PREFERENCE && done->n_rows == 0)
        fputs("no pair: the teacher's other texts are not in the records; quality.samples above 1 "
              "with quality.keep_others keeps them (docs/dataset.md)\n",
              stderr);
}

static int export_rows(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    char run_dir[PATH_MAX], output[PATH_MAX], folder[PATH_MAX];
    dataset_rows_request ask = {.folder = folder, .output = output};
    dataset_rows_result done = {0};
    rt_status st = load_config(o, &c, &err);
    if (st == RT_OK) st = read_rows_request(o, c, run_dir, output, &ask, &err);
    if (st == RT_OK) st = rt_fs_join(folder, sizeof folder, run_dir, "dataset", &err);
    if (st == RT_OK) st = dataset_rows_export(c, &ask, &done, &err);
    int code = st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
    if (st == RT_OK) print_rows(o, &ask, &done);
    config_free(c);
    return code;
}

static int run_export(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    if (options_has(o, "--dataset")) return export_rows(o);
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
    {"--format", "FORMAT", "hf: a folder for Hugging Face's programs; gguf: a file", "hf",
     "hf gguf"},
    {"--dtype", "DTYPE", "f32, f16, bf16, or for gguf q8_0 (default: export.dtype)", NULL,
     "f32 f16 bf16 q8_0"},
    {"--max-shard-size", "SIZE", "hf: largest file of weights (500MB, 5GB; 0: one file)", "5GB"},
    {"--dataset", "FORMAT", "rows: prompt-completion, messages or preference", NULL},
    {"--label-only", NULL, "with --dataset: leave the rationales out", NULL},
    {"--output", "PATH", "where to (default: in the run's folder)", NULL},
    {0},
};

const command cmd_export = {
    .name = "export",
    .summary = "write the student or the dataset as files that others can load",
    .synopsis = "--config FILE [--version VERSION] [--format FORMAT] [--dtype DTYPE] "
                "[--output PATH]\n"
                "--config FILE --dataset FORMAT [--label-only] [--output FILE]",
    .description =
        "Reads a checkpoint of the run, whatever the number of shards that wrote it,\n"
        "checks it, and writes a folder in Hugging Face's layout: model.safetensors,\n"
        "config.json, generation_config.json, tokenizer.model (T5: spiece.model),\n"
        "tokenizer_config.json, retort.json (the task, for `retort predict`) and\n"
        "README.md. With --format gguf it writes one file for llama.cpp, with tokenizer,\n"
        "task and chat template inside. The output appears whole or not at all; an\n"
        "earlier export in its place is replaced. Prints the SHA-256 of the weights\n"
        "(of the whole file with gguf). With --run and without --config the run's own\n"
        "config.yaml is used.\n"
        "\n"
        "With --dataset it writes the labelled rows as JSON lines for other trainers, to\n"
        "FORMAT.jsonl: prompt-completion (two texts), messages (a chat), or preference (a\n"
        "prompt with a chosen and a rejected text). A pair is two texts of the teacher about\n"
        "one input: the record's, and one that gave another label or none. Those come from\n"
        "quality.keep_others, and from rows that were rejected and asked for again. Where the\n"
        "record is known to be wrong there is no pair, and none is made up.\n",
    .options = export_options,
    .examples = "retort export --config gsm8k.yaml --output student\n"
                "retort export --run runs/gsm8k --version latest --dtype bf16\n"
                "retort export --run runs/gsm8k --format gguf --dtype q8_0\n"
                "retort export --run runs/gsm8k --dataset messages\n",
    .run = run_export,
};
