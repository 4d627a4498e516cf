/* From one layout of a model to another: what a program wrote, as a folder that others load.
 *
 *     convert_request ask = {.input = "stories15M.bin", .output = "stories", .dtype = TENSOR_F32};
 *     if ((st = convert_model(&ask, &done, err)) != RT_OK) goto out;
 *
 * Weights flow through in pieces: memory does not grow with the model. The output appears whole or
 * not at all.
 */
#ifndef RT_WORKER_EXPORT_CONVERT_H
#define RT_WORKER_EXPORT_CONVERT_H

#include "common/ckpt/model_files.h"
#include "common/ckpt/safetensors.h"

/* Borrows everything. */
typedef struct convert_request {
    const char *input;
    model_format from;
    const char *tokenizer; /* NULL: beside the input */
    const char *output;
    tensor_dtype dtype;
    uint64_t shard_bytes_max; /* 0: one file */
} convert_request;

typedef struct convert_result {
    model_format from; /* as it was found */
    size_t n_parameters;
    char weights_sha256[RT_SHA256_HEX_SIZE]; /* as hf_weights_write_from() says */
} convert_result;

/* RT_EXISTS when `output` exists and is no empty folder; else as the readers fail. On failure
 * nothing is left behind. */
RT_MUST_USE rt_status convert_model(const convert_request *ask, convert_result *out, rt_error *err);

#endif
