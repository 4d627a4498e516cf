#include "toy_shards.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

#define TOY_SEED 11

static void restore_shard(toy_cluster *t, uint32_t shard, uint64_t version, shard_model *model)
{
    rt_error err = {0};
    wire_server_order order = toy_order(t, ORDER_RESTORE);
    order.version = version;
    RT_ASSERT(shard_state_order(t->shards[shard], &order, 0) == SHARD_RESTORE);
    RT_ASSERT(shard_state_restored(t->shards[shard], &order, &model, &err) == RT_OK);
    RT_ASSERT(model == NULL);
}

static toy_cluster *cluster_new(uint32_t n_shards, bool tied)
{
    toy_cluster *t = rt_calloc(1, sizeof *t);
    RT_ASSERT(t != NULL && n_shards <= TOY_SHARDS_MAX);
    t->settings.train = (train_config){.micro_batches = 8,
                                       .lr = 0.01,
                                       .beta1 = 0.9,
                                       .beta2 = 0.99,
                                       .eps = 1e-8,
                                       .weight_decay = 0.1,
                                       .warmup_steps = 2,
                                       .schedule = SCHEDULE_COSINE,
                                       .lr_end_share = 0.1,
                                       .clip_norm = 5};
    t->shape = (model_config){.arch = MODEL_ARCH_LLAMA,
                              .n_vocab = 37,
                              .d_model = 16,
                              .n_layers = 2,
                              .n_heads = 2,
                              .n_kv_heads = 1,
                              .d_head = 8,
                              .d_ff = 24,
                              .seq_len_max = 32,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5f,
                              .tied = tied,
                              .bos_id = 1,
                              .eos_id = 2,
                              .pad_id = 3};
    RT_ASSERT(param_table_build(&t->shape, &t->table, NULL) == RT_OK);
    t->grad = rt_calloc(t->table.n_total, sizeof *t->grad);
    RT_ASSERT(t->grad != NULL);
    t->n_shards = n_shards;
    t->generation = 1;
    for (uint32_t i = 0; i < n_shards; i++) {
        shard_settings settings = shard_settings_of(&t->settings, i);
        RT_ASSERT(shard_state_new(&settings, &t->shards[i], NULL) == RT_OK);
        restore_shard(t, i, 0, toy_initial(t, i));
    }
    return t;
}

toy_cluster *toy_cluster_new(uint32_t n_shards)
{
    return cluster_new(n_shards, true);
}

toy_cluster *toy_cluster_new_untied(uint32_t n_shards)
{
    return cluster_new(n_shards, false);
}

void toy_cluster_free(toy_cluster *t)
{
    if (t == NULL) return;
    for (uint32_t i = 0; i < t->n_shards; i++) shard_state_free(t->shards[i]);
    param_table_free(&t->table);
    free(t->grad);
    free(t);
}

static shard_model *empty_model(const toy_cluster *t, uint32_t shard)
{
    shard_model *model = NULL;
    RT_ASSERT(shard_model_new(&t->shape, shard, t->n_shards, &model, NULL) == RT_OK);
    return model;
}

shard_model *toy_initial(const toy_cluster *t, uint32_t shard)
{
    shard_model *model = empty_model(t, shard);
    for (size_t i = 0; i < model->slice.n_params; i++)
        param_init(&model->table, &model->shape, TOY_SEED, model->slice.params[i],
                   model->weights->floats + model->slice.offsets[i]);
    return model;
}

shard_model *toy_slice_of(const toy_cluster *t, uint32_t shard, const float *w, const float *m,
                          const float *v)
{
    shard_model *model = empty_model(t, shard);
    param_slice_gather(&model->slice, &model->table, w, model->weights->floats);
    param_slice_gather(&model->slice, &model->table, m, model->m);
    param_slice_gather(&model->slice, &model->table, v, model->v);
    return model;
}

void toy_collect(const toy_cluster *t, float *w, float *m, float *v)
{
    for (uint32_t i = 0; i < t->n_shards; i++) {
        const shard_model *model = shard_state_model(t->shards[i]);
        param_slice_scatter(&model->slice, &model->table, model->weights->floats, w);
        param_slice_scatter(&model->slice, &model->table, model->m, m);
        param_slice_scatter(&model->slice, &model->table, model->v, v);
    }
}

void toy_restore(toy_cluster *t, uint64_t version, const float *w, const float *m, const float *v)
{
    t->generation++;
    for (uint32_t i = 0; i < t->n_shards; i++)
        restore_shard(t, i, version, toy_slice_of(t, i, w, m, v));
}

void toy_gradient(toy_cluster *t, uint64_t step, uint32_t index)
{
    rng_key key = rng_key_make(5, "toy", (rt_id){.high = step, .low = index}, 0);
    for (size_t i = 0; i < t->table.n_total; i++) t->grad[i] = rng_normal(key, i);
}

wire_push toy_push_header(uint64_t step, uint32_t index, uint32_t n)
{
    return (wire_push){.step = step,
                       .index = index,
                       .n_micro_batches = n,
                       .sums = {.loss = {0.1 * index + (double)step}, .count = {1}, .n_seqs = {2}}};
}

wire_push_status toy_push(toy_cluster *t, uint32_t shard, uint64_t step, uint32_t index, uint32_t n)
{
    rt_error err = {0};
    shard_state *s = t->shards[shard];
    const shard_model *model = shard_state_model(s);
    wire_push push = toy_push_header(step, index, n);
    wire_push_status status = PUSH_STALE;
    float *buffer = shard_state_take_buffer(s);
    RT_ASSERT(buffer != NULL);
    push.n_floats = shard_state_n_floats(s);
    toy_gradient(t, step, index);
    param_slice_gather(&model->slice, &model->table, t->grad, buffer);
    RT_ASSERT(shard_state_push(s, &push, &buffer, &status, &err) == RT_OK);
    RT_ASSERT((status == PUSH_ACCEPTED) == (buffer == NULL));
    shard_state_give_back(s, buffer);
    return status;
}

double toy_norm(const toy_cluster *t)
{
    double total = 0;
    double *squares = rt_calloc(t->table.n_params, sizeof *squares);
    RT_ASSERT(squares != NULL);
    for (uint32_t i = 0; i < t->n_shards; i++) {
        wire_server_report report;
        shard_state_report(t->shards[i], &report);
        RT_ASSERT(report.gathered);
        for (size_t j = 0; j < report.n_params; j++)
            squares[report.param_index[j]] = report.sum_squares[j];
    }
    for (size_t i = 0; i < t->table.n_params; i++) total += squares[i];
    free(squares);
    return sqrt(total);
}

wire_server_order toy_order(const toy_cluster *t, wire_order kind)
{
    return (wire_server_order){
        .kind = kind,
        .generation = t->generation,
        .version = t->shards[0] == NULL ? 0 : shard_state_version(t->shards[0]),
        .n_steps = 20,
        .folder = "",
        .n_shards = t->n_shards,
        .n_vocab = (uint32_t)t->shape.n_vocab,
    };
}

void toy_apply(toy_cluster *t)
{
    wire_server_order order = toy_order(t, ORDER_APPLY);
    order.grad_norm = toy_norm(t);
    for (uint32_t i = 0; i < t->n_shards; i++)
        RT_ASSERT(shard_state_order(t->shards[i], &order, 0) == SHARD_APPLIED);
}

void toy_step(toy_cluster *t, uint32_t n, const uint32_t *order)
{
    uint64_t step = shard_state_version(t->shards[0]);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t shard = 0; shard < t->n_shards; shard++)
            RT_ASSERT(toy_push(t, shard, step, order == NULL ? i : order[i], n) == PUSH_ACCEPTED);
    toy_apply(t);
}
