#include "worker/param_server/shard_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "worker/param_server/gather_window.h"

struct shard_state {
    shard_settings settings;
    uint64_t generation;
    uint64_t version;
    shard_model *model;    /* owned; NULL before the first restore */
    gather_window *window; /* owned; NULL with it */
    uint64_t limit;        /* modes other than sync: steps below may be taken */
    uint64_t n_steps;      /* async: length of the schedule */
    bool gathered;
    bool leaving;
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
        .mode = t->mode,
        .n_ahead = t->mode == TRAIN_SYNC ? 0 : t->staleness_max,
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
    gather_window_free(s->window);
    free(s);
}

/* ---- the step ---- */

static gather *this_step(const shard_state *s)
{
    return gather_window_at(s->window, s->version);
}

/* Sums of squares of each parameter's gradient: the coordinator adds them over all shards in table
 * order, so that the norm has the same bits for any number of shards. */
static void measure_step(shard_state *s)
{
    const shard_model *model = s->model;
    float *sum = gather_sum(this_step(s));
    double *sum_squares = gather_window_record(s->window, s->version)->sum_squares;
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
        sum_squares[i] = squares;
    }
    s->gathered = true;
}

/* The step is complete: say so. */
static void see_step(shard_state *s)
{
    if (s->gathered || !gather_is_complete(this_step(s))) return;
    if (s->settings.mode == TRAIN_ASYNC)
        s->gathered = true; /* measured with each gradient */
    else
        measure_step(s);
    s->n_changes++;
}

/* `moves`: to the version behind the last one, whose gradients may have come early. */
static void begin_step(shard_state *s, bool moves)
{
    gather_window_begin(s->window, s->version, moves);
    s->gathered = false;
    s->gradient_problem[0] = '\0';
    s->diverged = false;
    s->n_changes++;
    see_step(s);
}

/* In modes other than sync a gradient computed twice has other bits, so it counts only for the
 * parameters' own history, near enough, and before the next mark. */
static bool may_take(const shard_state *s, const wire_push *push)
{
    if (s->settings.mode == TRAIN_SYNC) return true;
    return push->generation == s->generation && push->step < s->limit &&
           push->version <= push->step && push->step - push->version <= s->settings.n_ahead;
}

/* Async: one update for each micro-batch. A step's gradient is the sum of those of its n
 * micro-batches, so one of them, times n, stands for the whole, and moves by an n-th of the rate. */
static void apply_gradient(shard_state *s, const wire_push *push, const float *grad)
{
    shard_model *model = s->model;
    double n = push->n_micro_batches, clip = s->settings.clip_norm;
    lr_schedule schedule = s->settings.schedule;
    schedule.n_steps = s->n_steps;
    float lr = (float)(lr_schedule_at(&schedule, push->step) / n);
    float scale = (float)(clip > 0 && n * push->norm > clip ? clip / push->norm : n);
    uint64_t t = push->step * s->settings.micro_batches_max +
                 gather_n_added(gather_window_at(s->window, push->step));
    double *sum_squares = gather_window_record(s->window, push->step)->sum_squares;
    for (size_t i = 0; i < model->slice.n_params; i++) {
        const param *p = &model->table.params[model->slice.params[i]];
        size_t at = model->slice.offsets[i];
        if (p->frozen) continue;
        sum_squares[i] += grad_sum_squares(grad + at, p->n) * n;
        adamw_update(&s->settings.adamw, lr * p->lr_scale, scale, t, p->decay, p->n, grad + at,
                     model->weights->floats + at, model->m + at, model->v + at);
    }
}

/* A gradient that fits. */
static rt_status take_gradient(shard_state *s, const wire_push *push, const slice_rows *rows,
                               float **grad, wire_push_status *status, rt_error *err)
{
    rt_status st;
    gather *g = gather_window_at(s->window, push->step);
    if (s->settings.mode == TRAIN_ASYNC) {
        if ((st = shard_weights_own(&s->model->weights, err)) != RT_OK) return st;
        slice_rows_spread(rows, *grad);
        st = gather_note(g, push, *grad, status, err);
        if (st == RT_OK) apply_gradient(s, push, *grad);
    } else {
        st = gather_add(g, push, rows, grad, status, err);
    }
    if (st == RT_OK && s->settings.mode != TRAIN_SYNC)
        gather_window_record(s->window, push->step)->staleness[push->step - push->version]++;
    return st;
}

rt_status shard_state_check(const shard_state *s, const wire_push *push, slice_rows *rows,
                            wire_push_status *status, rt_error *err)
{
    if (s->model == NULL)
        return rt_fail(err, RT_UNAVAILABLE, "shard %" PRIu32 " has no parameters yet",
                       s->settings.shard);
    *rows = slice_rows_all(s->model->slice.n_floats);
    gather *g = gather_window_at(s->window, push->step);
    if (g == NULL || !may_take(s, push)) {
        *status = push->step < s->version ? PUSH_STALE : PUSH_AHEAD;
        return RT_OK;
    }
    rt_status st = gather_check(g, push, status, err);
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
    if (fits && found == PUSH_ACCEPTED) st = take_gradient(s, push, &rows, grad, &found, &why);
    if (st != RT_OK) {
        /* What fits is refused for one reason only. A stranger's odd shape is no divergence. */
        if (fits && st == RT_INVALID) s->diverged = true;
        if (st == RT_INVALID && strcmp(s->gradient_problem, why.text) != 0) {
            snprintf(s->gradient_problem, sizeof s->gradient_problem, "%s", why.text);
            s->n_changes++;
        }
        return rt_fail(err, st, "%s", why.text);
    }
    if (found == PUSH_ACCEPTED && push->step == s->version) see_step(s);
    *status = found;
    return RT_OK;
}

/* ---- orders ---- */

static bool apply_step(shard_state *s, const wire_server_order *order)
{
    rt_error why = {0};
    shard_model *model = s->model;
    if (order->n_steps == 0 || !isfinite(order->grad_norm)) return false;
    if (s->settings.mode == TRAIN_ASYNC) { /* it was, gradient by gradient */
        s->version++;
        begin_step(s, true);
        return true;
    }
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
    const float *grad = gather_sum(this_step(s));
    for (size_t i = 0; i < model->slice.n_params; i++) {
        const param *p = &model->table.params[model->slice.params[i]];
        size_t at = model->slice.offsets[i];
        if (p->frozen) continue;
        fault_point("server.in_optimizer");
        adamw_update(&s->settings.adamw, lr * p->lr_scale, scale, s->version + 1, p->decay, p->n,
                     grad + at, model->weights->floats + at, model->m + at, model->v + at);
    }
    s->version++;
    begin_step(s, true);
    fault_point("server.after_apply");
    return true;
}

/* Async: the parameters are those of no version any more. A late order must not save them as one. */
static bool is_mixed(const shard_state *s)
{
    if (s->settings.mode != TRAIN_ASYNC || s->model == NULL) return false;
    for (uint64_t i = 0; i <= s->settings.n_ahead; i++)
        if (gather_n_added(gather_window_at(s->window, s->version + i)) > 0) return true;
    return false;
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
    /* It only grows while the generation is the same, so that a late order takes nothing back. */
    if (s->model != NULL && order->generation == s->generation && order->limit > s->limit)
        s->limit = order->limit;
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
        if (!fits || is_saved(s, order) || is_mixed(s) || now_ms < s->retry_at_ms)
            return SHARD_NOTHING;
        return SHARD_SAVE;
    }
    return SHARD_NOTHING;
}

bool shard_state_leave(shard_state *s)
{
    if (s->model == NULL || s->version == 0 || s->settings.mode == TRAIN_ASYNC) return false;
    s->leaving = true;
    s->n_changes++;
    return true;
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
    gather_window *fresh = NULL;
    st = gather_window_new((*model)->slice.n_floats, (*model)->slice.n_params,
                           s->settings.micro_batches_max, s->settings.n_ahead, &fresh, err);
    if (st != RT_OK) return st;
    gather_window_free(s->window);
    shard_model_free(s->model);
    s->window = fresh;
    s->model = *model;
    *model = NULL;
    shard_state_forget_saved(s);
    s->generation = order->generation;
    s->version = order->version;
    s->limit = order->limit;
    s->n_steps = order->n_steps;
    s->file_problem[0] = '\0';
    s->retry_at_ms = 0;
    begin_step(s, false);
    return RT_OK;
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

wire_pull_status shard_state_pull(const shard_state *s, const wire_pull *pull, uint64_t *needed)
{
    *needed = pull->version - RT_MIN(pull->version, pull->staleness);
    /* What may not be pushed now need not be computed now; a score is asked for without staleness. */
    if (pull->staleness > 0 && pull->version >= s->limit) *needed = UINT64_MAX;
    if (s->model == NULL || *needed > s->version) return PULL_NOT_YET;
    return pull->version < s->version ? PULL_GONE : PULL_OK;
}

float *shard_state_take_buffer(shard_state *s)
{
    return s->window == NULL ? NULL : gather_take_buffer(this_step(s));
}

void shard_state_give_back(shard_state *s, float *buffer)
{
    if (s->window == NULL)
        free(buffer);
    else
        gather_give_back(this_step(s), buffer);
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
        .mixed = is_mixed(s),
        .leaving = s->leaving,
        .problem = (char *)(s->file_problem[0] != '\0' ? s->file_problem : s->gradient_problem),
    };
    if (s->model == NULL) return;
    const gather *g = this_step(s);
    const step_record *record = gather_window_record(s->window, s->version);
    out->n_micro_batches = gather_n_micro_batches(g);
    out->received = (uint8_t *)gather_received(g, &out->n_received);
    if (!s->gathered) return;
    out->param_index = s->model->slice.params;
    out->sum_squares = record->sum_squares;
    out->n_params = s->model->slice.n_params;
    out->sums = *gather_loss_sums(g);
    memcpy(out->staleness, record->staleness, sizeof out->staleness);
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
