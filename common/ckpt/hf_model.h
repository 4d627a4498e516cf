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
#include "common/nn/model.h"

/* Read config.json into *out: LlamaForCausalLM or T5ForConditionalGeneration (v1.0 and v1.1).
 * Unknown fields are ignored; a field that would change the numbers and is not supported
 * (attention_bias, rope_scaling, another act) is RT_UNSUPPORTED. */
RT_MUST_USE rt_status hf_config_read(const char *folder, model_config *out, rt_error *err);
RT_MUST_USE rt_status hf_config_write(const char *folder, const model_config *config,
                                      tensor_dtype dtype, rt_error *err);

/* Read weights by name into weights[table->n_total]. Every name of the table must be there with
 * its shape; RT_CORRUPT names the tensor, the file and both shapes. T5's embedding may have any of
 * the names that files give it: shared, encoder.embed_tokens, decoder.embed_tokens. */
RT_MUST_USE rt_status hf_weights_read(const char *folder, const param_table *table, float *weights,
                                      rt_error *err);
/* The same checks from the headers alone: no weight is read. */
RT_MUST_USE rt_status hf_weights_check(const char *folder, const param_table *table, rt_error *err);
RT_MUST_USE rt_status hf_weights_write(const char *folder, const param_table *table,
                                       const float *weights, tensor_dtype dtype,
                                       char sha256[RT_SHA256_HEX_SIZE], rt_error *err);

/* Both: returns a new model; freed with model_free(). */
RT_MUST_USE rt_status hf_model_load(const char *folder, model **out, rt_error *err);

#endif
