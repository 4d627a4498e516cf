/* A shard's slice as files: initial weights, restore from a checkpoint, save into one.
 *
 *     checkpoints/step-500.partial/model-00002-of-00003.safetensors    parameters
 *                                  optim-00002-of-00003.safetensors    m.<name>, v.<name>
 *
 * A checkpoint is read by name, so the number of shards that wrote it does not matter.
 */
#ifndef RT_WORKER_PARAM_SERVER_SHARD_FILES_H
#define RT_WORKER_PARAM_SERVER_SHARD_FILES_H

#include "common/ckpt/manifest.h"
#include "common/conf/config.h"
#include "common/wire/messages.h"
#include "worker/param_server/shard_model.h"

/* What a RESTORE order names: a committed checkpoint in order->folder, or with "" version 0: the
 * initial weights, a pure function of settings and seed (or those of student.init_from). Returns
 * new; freed with shard_model_free(). */
RT_MUST_USE rt_status shard_load(const config *c, uint32_t shard, const wire_server_order *order,
                                 shard_model **out, rt_error *err);

/* Write both files durably into `folder`, which is made when missing. A repeat writes the same
 * bytes. */
RT_MUST_USE rt_status shard_save(const shard_model *held, uint64_t version, const char *folder,
                                 ckpt_file files[2], rt_error *err);

#endif
