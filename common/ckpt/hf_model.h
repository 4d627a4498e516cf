/* A model folder in Hugging Face's layout: config.json, model.safetensors (or shards with an
 * index), tokenizer.model, generation_config.json.
 *
 *     model *m = NULL;
 *     if ((st = hf_model_load("student", &m, err)) != RT_OK) goto out;
 *
 * Target rt::ckpt_model; the rest of common/ckpt is rt::ckpt and never sees nn.
 */
#ifndef RT_CKPT_HF_MODEL_H
#define RT_CKPT_HF_MODEL_H

#include "common/ckpt/safetensors.h"
#include "common/ckpt/weight_source.h"
#include "common/nn/model.h"

/* Read config.json into *out: LlamaForCausalLM or T5ForConditionalGeneration (v1.0 and v1.1), or
 * our own "retort_llama" (layer_groups, embedding_size).
 * Unknown fields are ignored; a field that would change the numbers and is not supported
 * (attention_bias, rope_scaling, another act) is RT_UNSUPPORTED. */
RT_MUST_USE rt_status hf_config_read(const char *folder, model_config *out, rt_error *err);
RT_MUST_USE rt_status hf_config_write(const char *folder, const model_config *config,
                                      tensor_dtype dtype, rt_error *err);

#define HF_WEIGHTS_NAME "model.safetensors"
#define HF_INDEX_NAME   "model.safetensors.index.json"

/* Weights of a folder: one file, or shards with an index. Opening maps the files and finds every
 * name of the table with its shape; RT_CORRUPT names the tensor, the file and both shapes,
 * RT_NOTFOUND the file that is missing. T5's embedding may have any of the names that files give it:
 * shared, encoder.embed_tokens, decoder.embed_tokens. Keeps `table`. Returns new;
 * hf_weights_close(). */
typedef struct hf_weights hf_weights;
RT_MUST_USE rt_status hf_weights_open(const char *folder, const param_table *table,
                                      hf_weights **out, rt_error *err);
void hf_weights_close(hf_weights *w);
/* Valid as long as `w`. */
weight_source hf_weights_source(const hf_weights *w);

/* Read weights by name into weights[table->n_total], which stays untouched on failure. */
RT_MUST_USE rt_status hf_weights_read(const char *folder, const param_table *table, float *weights,
                                      rt_error *err);
/* The same checks from the headers alone: no weight is read. */
RT_MUST_USE rt_status hf_weights_check(const char *folder, const param_table *table, rt_error *err);

/* Write one file, or shards of at most shard_bytes_max bytes of tensors with an index when one file
 * would hold more (0: never; a tensor is never cut). The folder must hold no other weights. sha256
 * (may be NULL) is the file's; of shards it is the hash of what `sha256sum model-*.safetensors`
 * prints. Memory stays bounded whatever the size of the model. */
RT_MUST_USE rt_status hf_weights_write_from(const char *folder, const weight_source *source,
                                            tensor_dtype dtype, uint64_t shard_bytes_max,
                                            char sha256[RT_SHA256_HEX_SIZE], rt_error *err);
/* One file, from memory. */
RT_MUST_USE rt_status hf_weights_write(const char *folder, const param_table *table,
                                       const float *weights, tensor_dtype dtype,
                                       char sha256[RT_SHA256_HEX_SIZE], rt_error *err);

/* Returns a new model; freed with model_free(). */
RT_MUST_USE rt_status hf_model_load(const char *folder, model **out, rt_error *err);

#endif
