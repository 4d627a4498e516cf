/* What a shard holds of the student: its slice of parameters and of AdamW's moments.
 *
 *     shard_model *m = NULL;
 *     if ((st = shard_model_new(&shape, shard, n_shards, &m, err)) != RT_OK) goto out;
 *     ... fill m->weights->floats, m->m, m->v ...
 */
#ifndef RT_WORKER_PARAM_SERVER_SHARD_MODEL_H
#define RT_WORKER_PARAM_SERVER_SHARD_MODEL_H

#include "worker/model_shape/param_slice.h"
#include "worker/param_server/shard_weights.h"

/* Open to the files of this folder; the three vectors are in the order of the slice. */
typedef struct shard_model {
    model_config shape;
    param_table table;
    param_slice slice;
    shard_weights *weights;
    float *m, *v;
} shard_model;

/* Everything zero. Returns new; freed with shard_model_free(). */
RT_MUST_USE rt_status shard_model_new(const model_config *shape, uint32_t shard, uint32_t n_shards,
                                      shard_model **out, rt_error *err);
void shard_model_free(shard_model *model);

#endif
