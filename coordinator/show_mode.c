/* How gradients met, as JSON: for /api/stats and for the figures at the end. */
#include <jansson.h>

#include "coordinator/shell.h"

/* Micro-batches by versions behind their step; the longest. Null in mode sync: there is none. */
static json_t *staleness_of(const coordinator *co)
{
    const uint64_t *n = co->metrics == NULL ? NULL : metrics_log_staleness(co->metrics);
    json_int_t most = 0;
    if (co->config->train.mode == TRAIN_SYNC || n == NULL) return json_null();
    for (json_int_t i = 0; i < WIRE_STALE_MAX; i++)
        if (n[i] > 0) most = i;
    return json_pack("{s:I, s:I, s:o}", "max", most, "limit",
                     (json_int_t)co->config->train.staleness_max, "micro_batches",
                     staleness_to_json(n));
}

void show_mode_json(const coordinator *co, json_t *top)
{
    static const char *const modes[] = {"sync", "ssp", "async"};
    train_mode mode = co->config->train.mode;
    json_object_set_new(top, "mode", json_string(modes[mode]));
    json_object_set_new(top, "repeatable", json_boolean(mode == TRAIN_SYNC));
    json_object_set_new(top, "staleness", staleness_of(co));
    json_object_set_new(top, "backups", json_integer((json_int_t)co->n_backups));
}
