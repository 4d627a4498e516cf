/* From a run's checkpoint to a folder that other programs load.
 *
 *     student/  model.safetensors  config.json  generation_config.json     Hugging Face's
 *               tokenizer.model (T5: spiece.model)  tokenizer_config.json  Llama or T5
 *               retort.json                                                the task, for predict
 *               README.md                                                  the model card
 *
 * or to one GGUF file with all of that inside, but for the model card.
 *
 *     export_result done;
 *     export_request ask = {.run_dir = "runs/x", .output = "student", .dtype = TENSOR_F32};
 *     if ((st = export_student(c, &ask, &done, err)) != RT_OK) goto out;
 *     puts(done.weights_sha256);
 *
 * Folder or file appear whole or not at all, and their bytes are a function of checkpoint and settings.
 * Weights flow through in pieces: memory does not grow with the model.
 */
#ifndef RT_WORKER_EXPORT_EXPORT_H
#define RT_WORKER_EXPORT_EXPORT_H

#include "common/ckpt/gguf_format.h"
#include "common/ckpt/safetensors.h"
#include "common/conf/config.h"
#include "worker/export/find_version.h"

/* Borrows everything. */
typedef struct export_request {
    const char *run_dir;
    const char *output;
    export_version which;
    bool to_gguf;             /* `output` is a file */
    gguf_tensor_type type;    /* of a GGUF file */
    tensor_dtype dtype;       /* of a folder */
    uint64_t shard_bytes_max; /* of a folder; 0: one file */
} export_request;

typedef struct export_result {
    uint64_t version;
    size_t n_parameters;
    char weights_sha256[RT_SHA256_HEX_SIZE]; /* as hf_weights_write_from(), or of the GGUF file */
} export_result;

/* RT_NOTFOUND without checkpoint or tokenizer; RT_CORRUPT when checkpoint, tokenizer and settings
 * do not belong together; RT_EXISTS when `output` exists and is not an earlier export or GGUF file. On failure
 * nothing is left behind, and what stood at `output` stays. */
RT_MUST_USE rt_status export_student(const config *c, const export_request *ask, export_result *out,
                                     rt_error *err);

tensor_dtype export_dtype_of(export_dtype dtype);
/* "f32", "f16" or "bf16"; RT_INVALID otherwise. */
RT_MUST_USE rt_status export_dtype_parse(const char *text, tensor_dtype *out, rt_error *err);

#endif
