/* From one layout of a model to another: a folder in Hugging Face's layout, or a GGUF file.
 *
 *     convert_request ask = {.input = "stories15M.bin", .output = "stories", .to = MODEL_FORMAT_HF};
 *     if ((st = convert_model(&ask, &done, err)) != RT_OK) goto out;
 *
 * Weights flow through in pieces: memory does not grow with the model. The output appears whole or
 * not at all.
 */
#ifndef RT_WORKER_EXPORT_CONVERT_H
#define RT_WORKER_EXPORT_CONVERT_H

#include "common/base/hash.h"
#include "common/ckpt/gguf_format.h"
#include "common/ckpt/model_files.h"
#include "common/ckpt/safetensors.h"

/* Borrows everything. */
typedef struct convert_request {
    const char *input;
    model_format from;
    const char *tokenizer; /* NULL: beside the input */
    const char *output;
    model_format to;          /* HF or GGUF */
    gguf_tensor_type type;    /* Q8_0: only to GGUF */
    uint64_t shard_bytes_max; /* to HF; 0: one file */
} convert_request;

typedef struct convert_result {
    model_format from; /* as it was found */
    size_t n_parameters;
    char sha256[RT_SHA256_HEX_SIZE]; /* of the weights as hf_weights_write_from() says, or of the
                                        GGUF file */
} convert_result;

/* RT_EXISTS when `output` exists and is no empty folder (for a GGUF file: exists and is none), else
 * as readers and writers fail. On failure nothing is left behind. */
RT_MUST_USE rt_status convert_model(const convert_request *ask, convert_result *out, rt_error *err);

/* The same type in safetensors; RT_INVALID for Q8_0. */
RT_MUST_USE rt_status convert_dtype_of(gguf_tensor_type type, tensor_dtype *out, rt_error *err);

#endif
