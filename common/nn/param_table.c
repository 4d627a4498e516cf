#include "common/nn/param_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/model/arch.h"

rt_status param_table_add(param_table *table, param_group group, size_t n_rows, size_t n_cols,
                          int alias_of, rt_error *err, const char *name_fmt, ...)
{
    param *grown = realloc(table->params, (table->n_params + 1) * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "parameter table");
    table->params = grown;
    param *p = &grown[table->n_params];
    *p = (param){.n_dims = n_rows == 0 ? 1 : 2,
                 .shape = {n_rows == 0 ? n_cols : n_rows, n_rows == 0 ? 0 : n_cols},
                 .offset = alias_of < 0 ? table->n_total : table->params[alias_of].offset,
                 .n = n_rows == 0 ? n_cols : n_rows * n_cols,
                 .group = group,
                 .alias_of = alias_of,
                 .decay = group != PARAM_GROUP_NORM && group != PARAM_GROUP_BIAS,
                 .lr_scale = 1};
    va_list args;
    va_start(args, name_fmt);
    vsnprintf(p->name, sizeof p->name, name_fmt, args);
    va_end(args);
    table->n_params++;
    if (alias_of < 0) table->n_total += p->n;
    return RT_OK;
}

rt_status param_table_build(const model_config *config, param_table *out, rt_error *err)
{
    param_table table = {0};
    rt_status st = model_config_check(config, err);
    if (st == RT_OK) st = arch_find(config->arch)->list_params(config, &table, err);
    if (st != RT_OK) {
        param_table_free(&table);
        return st;
    }
    *out = table;
    return RT_OK;
}

void param_table_free(param_table *table)
{
    if (table == NULL) return;
    free(table->params);
    *table = (param_table){0};
}

int param_table_find(const param_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_params; i++)
        if (strcmp(table->params[i].name, name) == 0) return (int)i;
    return -1;
}

int param_table_input_only(const param_table *table)
{
    int found = -1;
    for (size_t i = 0; found < 0 && i < table->n_params; i++)
        if (table->params[i].group == PARAM_GROUP_EMBEDDING && table->params[i].alias_of < 0)
            found = (int)i;
    for (size_t i = 0; i < table->n_params; i++)
        if (found >= 0 && table->params[i].alias_of == found) return -1;
    return found;
}

void param_init(const param_table *table, const model_config *config, uint64_t seed, size_t i_param,
                float *out)
{
    RT_ASSERT(i_param < table->n_params);
    const param *p = &table->params[i_param];
    if (p->group == PARAM_GROUP_NORM) {
        for (size_t i = 0; i < p->n; i++) out[i] = 1.0f;
        return;
    }
    if (p->alias_of >= 0) p = &table->params[p->alias_of];
    float deviation = arch_find(config->arch)->init_deviation(config, p);
    rng_key key = rng_key_make(seed, "init", rt_id_of(p->name, strlen(p->name)), 0);
    for (size_t i = 0; i < p->n; i++) out[i] = deviation * rng_normal(key, i);
}

void param_table_init(const param_table *table, const model_config *config, uint64_t seed,
                      float *weights)
{
    for (size_t i = 0; i < table->n_params; i++)
        if (table->params[i].alias_of < 0)
            param_init(table, config, seed, i, weights + table->params[i].offset);
}
