#include "worker/param_server/shard_model.h"

#include <stdlib.h>

#include "common/base/bytes.h"

rt_status shard_model_new(const model_config *shape, uint32_t shard, uint32_t n_shards,
                          shard_model **out, rt_error *err)
{
    rt_status st = RT_OK;
    shard_model *model = rt_calloc(1, sizeof *model);
    if (model == NULL) return rt_fail(err, RT_NOMEM, "a shard");
    model->shape = *shape;
    if ((st = param_table_build(shape, &model->table, err)) != RT_OK) goto out;
    if ((st = param_slice_build(&model->table, shard, n_shards, &model->slice, err)) != RT_OK)
        goto out;
    size_t n = model->slice.n_floats;
    model->weights = shard_weights_new(n);
    model->m = rt_calloc(n, sizeof *model->m);
    model->v = rt_calloc(n, sizeof *model->v);
    if (model->weights == NULL || model->m == NULL || model->v == NULL) {
        st = rt_fail(err, RT_NOMEM, "a shard of %zu parameters and their moments", n);
        goto out;
    }
    *out = model;
    model = NULL;
out:
    shard_model_free(model);
    return st;
}

void shard_model_free(shard_model *model)
{
    if (model == NULL) return;
    shard_weights_unref(model->weights);
    free(model->m);
    free(model->v);
    param_slice_free(&model->slice);
    param_table_free(&model->table);
    free(model);
}
