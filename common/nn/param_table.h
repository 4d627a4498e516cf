/* The one table of parameters that model, optimizer, parameter server and checkpoint all read.
 *
 * All parameters of a model lie in one flat float32 vector, in table order, so a slice of the
 * table is a slice of the vector. Names and shapes are Hugging Face's.
 *
 *     param_table table = {0};
 *     if ((st = param_table_build(&config, &table, err)) != RT_OK) goto out;
 *     float *w = rt_calloc(table.n_total, sizeof *w);
 *     param_table_init(&table, &config, seed, w);
 */
#ifndef RT_NN_PARAM_TABLE_H
#define RT_NN_PARAM_TABLE_H

#include "common/nn/model_config.h"

typedef enum param_group {
    PARAM_GROUP_EMBEDDING,
    PARAM_GROUP_MATRIX,
    PARAM_GROUP_NORM,
    PARAM_GROUP_BIAS, /* a table of position biases */
} param_group;

typedef struct param {
    char name[128];
    size_t n_dims; /* 1 or 2 */
    size_t shape[2];
    size_t offset; /* first element in the flat vector */
    size_t n;      /* elements */
    param_group group;
    int alias_of;   /* index of the entry whose storage this one shares (a tied head), or -1 */
    bool frozen;    /* no gradient, no update */
    bool decay;     /* weight decay applies: matrices and embeddings, not norms and biases */
    float lr_scale; /* factor of the learning rate, normally 1 */
} param;

typedef struct param_table {
    param *params; /* owns */
    size_t n_params;
    size_t n_total; /* elements of the flat vector; aliases take no room */
} param_table;

RT_MUST_USE rt_status param_table_build(const model_config *config, param_table *out,
                                        rt_error *err);
void param_table_free(param_table *table);
/* Append one entry while a table is built: n_rows 0 makes a vector of n_cols. */
RT_MUST_USE rt_status param_table_add(param_table *table, param_group group, size_t n_rows,
                                      size_t n_cols, int alias_of, rt_error *err,
                                      const char *name_fmt, ...) RT_PRINTF(7, 8);
/* Index of a name, or -1. */
int param_table_find(const param_table *table, const char *name);
/* The embedding that only the input reads: a batch's gradient is 0 but for the rows of its tokens. -1
 * when the head reads the same matrix. */
int param_table_input_only(const param_table *table);
/* Initial weights [n_total]: a pure function of (config, seed, parameter name), whoever computes
 * which slice. Norms are one, matrices and embeddings normal with the deviations of the recipe. */
void param_table_init(const param_table *table, const model_config *config, uint64_t seed,
                      float *weights);
/* The same for one entry only: writes params[i_param].n floats. For parameter-server slices. */
void param_init(const param_table *table, const model_config *config, uint64_t seed, size_t i_param,
                float *out);

#endif
