/* A toy cluster: a small table, any number of shards, a coordinator that does what the real one
 * does (sums of squares in table order, apply on all), gradients drawn from a seed. */
#ifndef RT_TESTS_TOY_SHARDS_H
#define RT_TESTS_TOY_SHARDS_H

#include "worker/param_server/shard_state.h"

#define TOY_SHARDS_MAX 5

typedef struct toy_cluster {
    config settings;
    model_config shape;
    param_table table;
    uint32_t n_shards;
    uint64_t generation;
    shard_state *shards[TOY_SHARDS_MAX];
    float *grad; /* [n_total] scratch */
} toy_cluster;

/* All shards restored to version 0 of `seed`. */
toy_cluster *toy_cluster_new(uint32_t n_shards);
/* The same with a head of its own, so that the embedding's gradient may travel in rows. */
toy_cluster *toy_cluster_new_untied(uint32_t n_shards);
void toy_cluster_free(toy_cluster *t);

/* A loaded model for one shard: fresh from the seed, or cut from whole vectors. */
shard_model *toy_initial(const toy_cluster *t, uint32_t shard);
shard_model *toy_slice_of(const toy_cluster *t, uint32_t shard, const float *w, const float *m,
                          const float *v);
/* The whole vectors of a cluster, [n_total] each. */
void toy_collect(const toy_cluster *t, float *w, float *m, float *v);
/* Restore all shards to `version` with the vectors given. */
void toy_restore(toy_cluster *t, uint64_t version, const float *w, const float *m, const float *v);

/* The gradient of (step, index): [n_total] into t->grad. */
void toy_gradient(toy_cluster *t, uint64_t step, uint32_t index);
wire_push toy_push_header(uint64_t step, uint32_t index, uint32_t n);
/* Push it to one shard. */
wire_push_status toy_push(toy_cluster *t, uint32_t shard, uint64_t step, uint32_t index,
                          uint32_t n);
/* Norm over all shards as the coordinator forms it; asserts that all have gathered. */
double toy_norm(const toy_cluster *t);
void toy_apply(toy_cluster *t);
/* One whole step, the micro-batches in the order given, or by index when order is NULL. */
void toy_step(toy_cluster *t, uint32_t n, const uint32_t *order);
wire_server_order toy_order(const toy_cluster *t, wire_order kind);

#endif
