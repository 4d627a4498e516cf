#include "worker/param_server/shard_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "worker/param_server/gather.h"

struct shard_state {
    shard_settings settings;
    uint64_t generation;
    uint64_t version;
    shard_model *model;  /* owned; NULL before the first restore */
    gather *gather;      /* owned; NULL with it */
    double *sum_squares; /* [slice.n_params], while gathered */
    bool gathered;
    bool has_saved;
    uint64_t saved_version;
    char saved_folder[1024];
    wire_saved_file saved_files[SHARD_SAVED_FILES]; /* own their texts */
    size_t n_saved_files;
    uint64_t retry_at_ms;        /* no restore or save before */
    char file_problem[1024];     /* of the last restore or save */
    char gradient_problem[1024]; /* of this step */
    bool diverged;               /* and it is that a gradient is not finite */
    uint64_t n_changes;
};

static lr_decay decay_of(train_schedule schedule)
{
    switch (schedule) {
    case SCHEDULE_CONSTANT: return LR_CONSTANT;
    case SCHEDULE_LINEAR: return LR_LINEAR;
    case SCHEDULE_COSINE: return LR_COSINE;
    }
    return LR_CONSTANT;
}

shard_settings shard_settings_of(const config *c, uint32_t shard)
{
    const train_config *t = &c->train;
    return (shard_settings){
        .shard = shard,
        .micro_batches_max = (uint32_t)t->micro_batches,
        .clip_norm = t->clip_norm,
        .adamw = {.beta1 = (float)t->beta1,
                  .beta2 = (float)t->beta2,
                  .eps = (float)t->eps,
                  .weight_decay = (float)t->weight_decay},
        .schedule = {.lr_peak = (float)t->lr,
                     .lr_end_share = (float)t->lr_end_share,
                     .flat_share = (float)t->flat_share,
                     .n_warmup_steps = t->warmup_steps,
                     .decay = decay_of(t->schedule)},
    };
}

rt_status shard_state_new(const shard_settings *settings, shard_state **out, rt_error *err)
{
    shard_state *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "state of a shard");
    s->settings = *settings;
    *out = s;
    return RT_OK;
}

static void free_saved_files(wire_saved_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(files[i].name);
        free(files[i].sha256);
    }
}

void shard_state_free(shard_state *s)
{
    if (s == NULL) return;
    free_saved_files(s->saved_files, s->n_saved_files);
    shard_model_free(s->model);
    gather_free(s->gather);
    free(s->sum_squares);
    free(s);
}

/* ---- the step ---- */

static void begin_step(shard_state *s)
{
    gather_begin(s->gather, s->version);
    s->gathered = false;
    s->gradient_problem[0] = '\0';
    s->diverged = false;
    s->n_changes++;
}

/* Sums of squares of each parameter's gradient: the coordinator adds them over all shards in table
 * order, so that the norm has the same bits for any number of shards. */
static void measure_step(shard_state *s)
{
    const shard_model *model = s->model;
    float *sum = gather_sum(s->gather);
    int i_rows = param_table_input_only(&model->table);
    for (size_t i = 0; i < model->slice.n_params; i++) {
        const param *p = &model->table.params[model->slice.params[i]];
        if ((int64_t)model->slice.params[i] == i_rows)
            slice_rows_unsign(sum + model->slice.offsets[i], p->n);
        double squares = p->frozen ? 0 : grad_sum_squares(sum + model->slice.offsets[i], p->n);
        if (!isfinite(squares)) {
            snprintf(s->gradient_problem, sizeof s->gradient_problem,
                     "non-finite gradient: the sum over step %" PRIu64
                     " overflows in %s: lower train.lr or train.clip_norm",
                     s->version, p->name);
            s->diverged = true;
            return;
        }
        s->sum_squares[i] = squares;
    }
    s->gathered = true;
}

rt_status shard_state_check(const shard_state *s, const wire_push *push, slice_rows *rows,
                            wire_push_status *status, rt_error *err)
{
    if (s->model == NULL)
        return rt_fail(err, RT_UNAVAILABLE, "shard %" PRIu32 " has no parameters yet",
                       s->settings.shard);
    rt_status st = gather_check(s->gather, push, status, err);
    if (st != RT_OK) return st;
    return slice_rows_of(&s->model->slice, &s->model->table, &push->rows, rows, err);
}

rt_status shard_state_push(shard_state *s, const wire_push *push, float **grad,
                           wire_push_status *status, rt_error *err)
{
    rt_error why = {0};
    wire_push_status found;
    slice_rows rows;
    rt_status st = shard_state_check(s, push, &rows, &found, &why);
    bool fits = st == RT_OK;
    if (fits) st = gather_add(s->gather, push, &rows, grad, &found, &why);
    if (st != RT_OK) {
        /* What fits is refused for one reason only. A stranger's odd shape is no divergence. */
        if (fits && st == RT_INVALID) s->diverged = true;
        if (st == RT_INVALID && strcmp(s->gradient_problem, why.text) != 0) {
            snprintf(s->gradient_problem, sizeof s->gradient_problem, "%s", why.text);
            s->n_changes++;
        }
        return rt_fail(err, st, "%s", why.text);
    }
    if (found == PUSH_ACCEPTED && gather_is_complete(s->gather)) {
        measure_step(s);
        s->n_changes++;
    }
    *status = found;
    return RT_OK;
}

/* ---- orders ---- */

static bool apply_step(shard_state *s, const wire_server_order *order)
{
    rt_error why = {0};
    shard_model *model = s->model;
    if (order->n_steps == 0 || !isfinite(order->grad_norm)) return false;
    if (shard_weights_own(&model->weights, &why) != RT_OK) {
        snprintf(s->gradient_problem, sizeof s->gradient_problem, "%s", why.text);
        s->n_changes++;
        return false;
    }
    lr_schedule schedule = s->settings.schedule;
    schedule.n_steps = order->n_steps;
    float lr = lr_schedule_at(&schedule, s->version);
    double clip = s->settings.clip_norm;
    float scale = clip > 0 && order->grad_norm > clip ? (float)(clip / order->grad_norm) : 1.0f;
    const float *grad = gather_sum(s->gather);
    for (size_t i = 0; i < model->slice.n_params; i++) {
        const param *p = &model->table.params[model->slice.params[i]];
        size_t at = model->slice.offsets[i];
        if (p->frozen) continue;
        adamw_update(&s->settings.adamw, lr * p->lr_scale, scale, s->version + 1, p->decay, p->n,
                     grad + at, model->weights->floats + at, model->m + at, model->v + at);
    }
    s->version++;
    begin_step(s);
    return true;
}

static bool is_saved(const shard_state *s, const wire_server_order *order)
{
    return s->has_saved && s->saved_version == order->version &&
           strcmp(s->saved_folder, order->folder) == 0;
}

shard_action shard_state_order(shard_state *s, const wire_server_order *order, uint64_t now_ms)
{
    bool fits =
        s->model != NULL && order->generation == s->generation && order->version == s->version;
    switch (order->kind) {
    case ORDER_WAIT: return SHARD_NOTHING;
    case ORDER_STOP: return SHARD_STOP;
    case ORDER_RESTORE:
        if (s->model != NULL && order->generation <= s->generation) return SHARD_NOTHING;
        if (order->n_vocab == 0 || now_ms < s->retry_at_ms) return SHARD_NOTHING;
        return SHARD_RESTORE;
    case ORDER_APPLY:
        if (!fits || !s->gathered) return SHARD_NOTHING;
        return apply_step(s, order) ? SHARD_APPLIED : SHARD_NOTHING;
    case ORDER_SAVE:
        if (!fits || is_saved(s, order) || now_ms < s->retry_at_ms) return SHARD_NOTHING;
        return SHARD_SAVE;
    }
    return SHARD_NOTHING;
}

void shard_state_forget_saved(shard_state *s)
{
    free_saved_files(s->saved_files, s->n_saved_files);
    s->n_saved_files = 0;
    s->has_saved = false;
}

const char *shard_state_saved_folder(const shard_state *s)
{
    return s->has_saved ? s->saved_folder : NULL;
}

rt_status shard_state_restored(shard_state *s, const wire_server_order *order, shard_model **model,
                               rt_error *err)
{
    rt_status st = RT_OK;
    gather *fresh = NULL;
    double *squares = rt_calloc((*model)->slice.n_params, sizeof *squares);
    if (squares == NULL) {
        st = rt_fail(err, RT_NOMEM, "sums of %zu parameters", (*model)->slice.n_params);
        goto out;
    }
    st = gather_new((*model)->slice.n_floats, s->settings.micro_batches_max, &fresh, err);
    if (st != RT_OK) goto out;
    gather_free(s->gather);
    shard_model_free(s->model);
    free(s->sum_squares);
    s->gather = fresh;
    s->sum_squares = squares;
    s->model = *model;
    squares = NULL;
    *model = NULL;
    shard_state_forget_saved(s);
    s->generation = order->generation;
    s->version = order->version;
    s->file_problem[0] = '\0';
    s->retry_at_ms = 0;
    begin_step(s);
out:
    free(squares);
    return st;
}

rt_status shard_state_saved(shard_state *s, const wire_server_order *order,
                            const wire_saved_file *files, size_t n_files, rt_error *err)
{
    wire_saved_file copies[SHARD_SAVED_FILES] = {0};
    RT_ASSERT(n_files <= SHARD_SAVED_FILES);
    for (size_t i = 0; i < n_files; i++) {
        copies[i] = (wire_saved_file){.name = strdup(files[i].name),
                                      .n_bytes = files[i].n_bytes,
                                      .sha256 = strdup(files[i].sha256)};
        if (copies[i].name == NULL || copies[i].sha256 == NULL) {
            free_saved_files(copies, i + 1);
            return rt_fail(err, RT_NOMEM, "names of saved files");
        }
    }
    shard_state_forget_saved(s);
    memcpy(s->saved_files, copies, sizeof copies);
    s->n_saved_files = n_files;
    s->has_saved = true;
    s->saved_version = order->version;
    snprintf(s->saved_folder, sizeof s->saved_folder, "%s", order->folder);
    s->file_problem[0] = '\0';
    s->retry_at_ms = 0;
    s->n_changes++;
    return RT_OK;
}

void shard_state_failed(shard_state *s, const char *problem, uint64_t now_ms)
{
    s->retry_at_ms = now_ms + SHARD_RETRY_MS;
    if (strcmp(s->file_problem, problem) == 0) return;
    snprintf(s->file_problem, sizeof s->file_problem, "%s", problem);
    s->n_changes++;
}

/* ---- what others see ---- */

wire_pull_status shard_state_pull(const shard_state *s, uint64_t version)
{
    if (s->model == NULL || version > s->version) return PULL_NOT_YET;
    return version < s->version ? PULL_GONE : PULL_OK;
}

float *shard_state_take_buffer(shard_state *s)
{
    return s->gather == NULL ? NULL : gather_take_buffer(s->gather);
}

void shard_state_give_back(shard_state *s, float *buffer)
{
    if (s->gather == NULL)
        free(buffer);
    else
        gather_give_back(s->gather, buffer);
}

void shard_state_report(const shard_state *s, wire_server_report *out)
{
    *out = (wire_server_report){
        .shard = s->settings.shard,
        .generation = s->generation,
        .has_params = s->model != NULL,
        .version = s->version,
        .gathered = s->gathered,
        .has_saved = s->has_saved,
        .saved_version = s->saved_version,
        .saved_files = (wire_saved_file *)s->saved_files,
        .n_saved_files = s->n_saved_files,
        .diverged = s->diverged,
        .problem = (char *)(s->file_problem[0] != '\0' ? s->file_problem : s->gradient_problem),
    };
    if (s->model == NULL) return;
    out->n_micro_batches = gather_n_micro_batches(s->gather);
    out->received = (uint8_t *)gather_received(s->gather, &out->n_received);
    if (!s->gathered) return;
    out->param_index = s->model->slice.params;
    out->sum_squares = s->sum_squares;
    out->n_params = s->model->slice.n_params;
    out->sums = *gather_loss_sums(s->gather);
}

uint64_t shard_state_version(const shard_state *s)
{
    return s->version;
}

uint64_t shard_state_generation(const shard_state *s)
{
    return s->generation;
}

bool shard_state_is_gathered(const shard_state *s)
{
    return s->gathered;
}

size_t shard_state_n_floats(const shard_state *s)
{
    return s->model == NULL ? 0 : s->model->slice.n_floats;
}

const shard_model *shard_state_model(const shard_state *s)
{
    return s->model;
}

uint64_t shard_state_n_changes(const shard_state *s)
{
    return s->n_changes;
}
