#include "bench/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/nn/optim/adamw.h"

rt_status trainer_open(const model_config *config, compute_mode wish, trainer *out, rt_error *err)
{
    trainer t = {0};
    rt_status st = model_new(config, &t.model, err);
    if (st == RT_OK) st = model_set_compute(t.model, compute_mode_resolve(wish), err);
    if (st != RT_OK) goto out;
    size_t n = model_table(t.model)->n_total;
    param_table_init(model_table(t.model), config, 1, model_weights(t.model));
    t.first = rt_calloc(n, sizeof *t.first);
    t.second = rt_calloc(n, sizeof *t.second);
    if (t.first == NULL || t.second == NULL) {
        st = rt_fail(err, RT_NOMEM, "moments");
        goto out;
    }
    *out = t;
    t = (trainer){0};
out:
    trainer_close(&t);
    return st;
}

rt_status trainer_step(trainer *t, const packed_batch *batch, trainer_times *times, rt_error *err)
{
    const adamw_settings adamw = {
        .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.01f};
    loss_spec spec = {.n_tasks = 1, .tasks = {{.weight = 1}}};
    loss_sums sums;
    for (size_t i = 0; i < batch->n_seqs; i++)
        spec.tasks[0].count += (double)batch->seqs[i].n_target;
    double start = rt_clock_mono_s();
    rt_status st = model_gradient(t->model, batch, &spec, &sums, err);
    if (st != RT_OK) return st;
    double between = rt_clock_mono_s();
    size_t n = model_table(t->model)->n_total;
    adamw_update(&adamw, 1e-4f, 1, ++t->step, true, n, model_grads(t->model),
                 model_weights(t->model), t->first, t->second);
    *times = (trainer_times){.gradient_s = between - start, .adamw_s = rt_clock_mono_s() - between};
    t->loss = sums.loss[0] / sums.count[0];
    return RT_OK;
}

void trainer_close(trainer *t)
{
    free(t->first);
    free(t->second);
    model_free(t->model);
    *t = (trainer){0};
}

bool trainer_parse_compute(const char *text, compute_mode *out)
{
    for (int i = COMPUTE_F32; i <= COMPUTE_AUTO; i++) {
        if (strcmp(text, compute_mode_name((compute_mode)i)) != 0) continue;
        *out = (compute_mode)i;
        return true;
    }
    return false;
}
