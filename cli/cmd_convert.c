#include <jansson.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/sizes.h"
#include "worker/export/convert.h"
#include "worker/export/export.h"

static rt_status read_request(const options *o, convert_request *out, rt_error *err)
{
    convert_request ask = {.input = options_arg(o, 0),
                           .tokenizer = options_value(o, "--tokenizer"),
                           .output = options_value(o, "--output")};
    if (ask.output == NULL)
        return rt_fail(err, RT_INVALID, "convert: --output is missing, expected a folder to write");
    rt_status st = model_format_parse(options_value(o, "--from"), &ask.from, err);
    if (st != RT_OK) return rt_wrap(err, st, "--from");
    if ((st = export_dtype_parse(options_value(o, "--dtype"), &ask.dtype, err)) != RT_OK)
        return rt_wrap(err, st, "--dtype");
    st = size_parse(options_value(o, "--max-shard-size"), &ask.shard_bytes_max, err);
    if (st != RT_OK) return rt_wrap(err, st, "--max-shard-size");
    *out = ask;
    return RT_OK;
}

static void print_result(const options *o, const convert_request *ask, const convert_result *done)
{
    if (!options_json(o)) {
        printf("%s: %zu parameters from %s, weights sha256 %s\n", ask->output, done->n_parameters,
               model_format_name(done->from), done->weights_sha256);
        return;
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:s}", "output", ask->output, "from", model_format_name(done->from),
        "parameters", (json_int_t)done->n_parameters, "weights_sha256", done->weights_sha256);
    if (root != NULL) json_dumpf(root, stdout, 0);
    printf("\n");
    json_decref(root);
}

static int run_convert(const options *o)
{
    rt_error err = {0};
    convert_request ask;
    convert_result done;
    if (read_request(o, &ask, &err) != RT_OK || convert_model(&ask, &done, &err) != RT_OK)
        return command_fail(o, &err);
    print_result(o, &ask, &done);
    return EXIT_CODE_OK;
}

static const option_def convert_options[] = {
    {"--from", "FORMAT", "auto, hf or llama2c", "auto"},
    {"--tokenizer", "FILE", "its tokenizer (default: beside the model)", NULL},
    {"--dtype", "DTYPE", "f32, f16 or bf16", "f32"},
    {"--max-shard-size", "SIZE", "largest file of weights: 500MB, 5GB; 0: one file", "5GB"},
    {"--output", "FOLDER", "where to", NULL},
    {0},
};

const command cmd_convert = {
    .name = "convert",
    .summary = "turn a model of another program into a folder that retort reads",
    .synopsis = "[--from FORMAT] [--tokenizer FILE] [--dtype DTYPE] --output FOLDER MODEL",
    .description =
        "Reads a model and writes a folder in Hugging Face's layout, which predict,\n"
        "serve, a native teacher and student.init_from read. MODEL is\n"
        "  llama2c   a file of llama2.c (version 0 or 1); its tokenizer is\n"
        "            tokenizer.bin or a sentencepiece model\n"
        "  hf        a folder with config.json and safetensors, one file or shards\n"
        "and is told by its bytes unless --from says what it is. Weights flow through in\n"
        "pieces: memory does not grow with the model. The folder appears whole or not\n"
        "at all.\n",
    .options = convert_options,
    .examples = "retort convert stories15M.bin --tokenizer tokenizer.bin --output stories\n"
                "retort convert llama --dtype bf16 --max-shard-size 2GB --output llama-bf16\n",
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run_convert,
};
