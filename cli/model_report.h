/* What `retort model` says of a shape: parameters, operations, memory, and how fast this machine
 * might be. */
#ifndef RT_CLI_MODEL_REPORT_H
#define RT_CLI_MODEL_REPORT_H

#include <jansson.h>

#include "common/nn/model_cost.h"

/* Measured here, in operations a second. 0: not measured. */
typedef struct machine_speed {
    double many_rows; /* a product of many rows, as training does */
    double one_row;   /* of one row with matrices that are read once, as decoding does */
    size_t n_threads;
    const char *kernel;
} machine_speed;

/* Two short products in the shape of the model; takes about seconds_max. */
RT_MUST_USE rt_status machine_speed_measure(const model_config *config, const model_cost *cost,
                                            size_t n_threads, double seconds_max,
                                            machine_speed *out, rt_error *err);

/* Borrows everything. */
typedef struct model_report {
    const char *name; /* of preset, file or folder */
    const char *kind; /* "preset", "settings", "hf", "gguf", "llama2c" */
    const model_config *config;
    const model_workload *work;
    const model_cost *cost;
    const machine_speed *speed; /* NULL: none */
} model_report;

void model_report_print(const model_report *r);
/* Returns new, or NULL on out of memory. */
json_t *model_report_json(const model_report *r);

#endif
