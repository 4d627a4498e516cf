#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/sizes.h"
#include "worker/export/convert.h"
#include "worker/export/write_gguf.h"

/* --to, or what the name of the output says. */
static rt_status read_target(const options *o, const char *output, model_format *out, rt_error *err)
{
    const char *to = options_value(o, "--to");
    size_t n = strlen(output);
    model_format target =
        n > 5 && strcmp(output + n - 5, ".gguf") == 0 ? MODEL_FORMAT_GGUF : MODEL_FORMAT_HF;
    rt_status st = to == NULL ? RT_OK : model_format_parse(to, &target, err);
    if (st == RT_OK && target != MODEL_FORMAT_HF && target != MODEL_FORMAT_GGUF)
        st = rt_fail(err, RT_INVALID, "found '%.64s', expected hf or gguf", to);
    if (st != RT_OK) return rt_wrap(err, st, "--to");
    *out = target;
    return RT_OK;
}

static rt_status read_request(const options *o, convert_request *out, rt_error *err)
{
    tensor_dtype dtype;
    convert_request ask = {.input = options_arg(o, 0),
                           .tokenizer = options_value(o, "--tokenizer"),
                           .output = options_value(o, "--output")};
    if (ask.output == NULL)
        return rt_fail(err, RT_INVALID, "convert: --output is missing, expected where to write");
    rt_status st = read_target(o, ask.output, &ask.to, err);
    if (st != RT_OK) return st;
    if ((st = model_format_parse(options_value(o, "--from"), &ask.from, err)) != RT_OK)
        return rt_wrap(err, st, "--from");
    st = gguf_type_parse(options_value(o, "--dtype"), &ask.type, err);
    if (st == RT_OK && ask.to == MODEL_FORMAT_HF) st = convert_dtype_of(ask.type, &dtype, err);
    if (st != RT_OK) return rt_wrap(err, st, "--dtype");
    st = size_parse(options_value(o, "--max-shard-size"), &ask.shard_bytes_max, err);
    if (st != RT_OK) return rt_wrap(err, st, "--max-shard-size");
    *out = ask;
    return RT_OK;
}

static void print_result(const options *o, const convert_request *ask, const convert_result *done)
{
    if (!options_json(o)) {
        printf("%s: %zu parameters from %s, %s sha256 %s\n", ask->output, done->n_parameters,
               model_format_name(done->from), ask->to == MODEL_FORMAT_GGUF ? "file" : "weights",
               done->sha256);
        return;
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:I, s:s}", "output", ask->output, "from",
                             model_format_name(done->from), "to", model_format_name(ask->to),
                             "parameters", (json_int_t)done->n_parameters, "sha256", done->sha256);
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
    {"--from", "FORMAT", "auto, hf, gguf or llama2c", "auto", "auto hf gguf llama2c"},
    {"--to", "FORMAT", "hf or gguf (default: gguf when the output is called so)", NULL, "hf gguf"},
    {"--tokenizer", "FILE", "its tokenizer (default: in or beside the model)", NULL},
    {"--dtype", "DTYPE", "f32, f16, bf16, or for gguf q8_0", "f32", "f32 f16 bf16 q8_0"},
    {"--max-shard-size", "SIZE", "hf: largest file of weights (500MB, 5GB; 0: one file)", "5GB"},
    {"--output", "PATH", "folder or .gguf file to write", NULL},
    {0},
};

const command cmd_convert = {
    .name = "convert",
    .summary = "turn a model into the files of another program, and back",
    .synopsis = "[--tokenizer FILE] [--dtype DTYPE] --output PATH MODEL",
    .description =
        "Reads a model and writes a folder in Hugging Face's layout, which predict,\n"
        "serve, a native teacher and student.init_from read, or a GGUF file, which\n"
        "llama.cpp and all that is built on it read. MODEL is\n"
        "  hf        a folder with config.json and safetensors, one file or shards\n"
        "  gguf      a GGUF file of a Llama: f32, f16, bf16 or q8_0\n"
        "  llama2c   a file of llama2.c (version 0 or 1); its tokenizer is\n"
        "            tokenizer.bin or a sentencepiece model\n"
        "and is told by its bytes unless --from says what it is. Weights flow through in\n"
        "pieces: memory does not grow with the model. The output appears whole or not\n"
        "at all.\n",
    .options = convert_options,
    .examples = "retort convert student --dtype q8_0 --output student.gguf\n"
                "retort convert stories15M.bin --tokenizer tokenizer.bin --output stories\n"
                "retort convert llama --dtype bf16 --max-shard-size 2GB --output llama-bf16\n",
    .n_args_min = 1,
    .n_args_max = 1,
    .run = run_convert,
};
