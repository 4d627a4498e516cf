#include "common/nn/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/loss/head_loss.h"
#include "common/nn/model/model_state.h"
#include "common/nn/parallel.h"

rt_status model_new(const model_config *config, model **out, rt_error *err)
{
    rt_status st = RT_OK;
    model *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "model");
    m->config = *config;
    pthread_mutex_init(&m->packing, NULL);
    if ((st = param_table_build(config, &m->table, err)) != RT_OK) goto out;
    m->arch = arch_find(config->arch);
    m->weights = rt_calloc(m->table.n_total, sizeof(float));
    m->grads = rt_calloc(m->table.n_total, sizeof(float));
    bool rotates = config->arch == MODEL_ARCH_LLAMA;
    if (rotates) m->angles = rt_calloc(config->seq_len_max * config->d_head, sizeof(float));
    if (m->weights == NULL || m->grads == NULL || (rotates && m->angles == NULL)) {
        st = rt_fail(err, RT_NOMEM, "model of %zu parameters (%zu MiB)", m->table.n_total,
                     2 * m->table.n_total * sizeof(float) >> 20);
        goto out;
    }
    if (rotates) rope_angles(config->seq_len_max, config->d_head, config->rope_theta, m->angles);
    if ((st = tape_new(&m->tape, err)) != RT_OK) goto out;
    m->i_input = param_table_input_only(&m->table);
    if (m->i_input >= 0) {
        size_t n_rows = m->table.params[m->i_input].shape[0];
        if ((st = touched_rows_new(n_rows, &m->touched, err)) != RT_OK) goto out;
    }
    *out = m;
    m = NULL;
out:
    model_free(m);
    return st;
}

rt_status model_new_view(model *of, model **out, rt_error *err)
{
    rt_status st = RT_OK;
    model *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "view of a model");
    m->owner = of->owner != NULL ? of->owner : of;
    m->i_input = -1;
    m->config = of->config;
    pthread_mutex_init(&m->packing, NULL);
    m->arch = of->arch;
    m->weights = of->weights;
    m->angles = of->angles;
    m->halves_decode = of->halves_decode;
    if ((st = param_table_build(&of->config, &m->table, err)) != RT_OK) goto out;
    if ((st = tape_new(&m->tape, err)) != RT_OK) goto out;
    *out = m;
    m = NULL;
out:
    model_free(m);
    return st;
}

void model_free(model *m)
{
    if (m == NULL) return;
    tape_free(m->tape);
    model_packed_free(m);
    touched_rows_free(&m->touched);
    pthread_mutex_destroy(&m->packing);
    free(m->weights_high);
    free(m->weights_low);
    if (m->owner == NULL) {
        free(m->angles);
        free(m->grads);
        free(m->weights);
    }
    param_table_free(&m->table);
    free(m);
}

const model_config *model_get_config(const model *m)
{
    return &m->config;
}

const param_table *model_table(const model *m)
{
    return &m->table;
}

void model_set_frozen(model *m, size_t i_param, bool frozen)
{
    RT_ASSERT(i_param < m->table.n_params);
    m->table.params[i_param].frozen = frozen;
}

float *model_weights(model *m)
{
    m->weights_version++;
    return m->weights;
}

const float *model_grads(const model *m)
{
    return m->grads;
}

bool model_grad_rows(const model *m, grad_rows *out)
{
    if (m->i_input < 0) return false;
    *out = (grad_rows){.i_param = (size_t)m->i_input, .ids = m->touched.ids, .n = m->touched.n};
    return true;
}

const arch *arch_find(model_arch which)
{
    switch (which) {
    case MODEL_ARCH_LLAMA: return &arch_llama;
    case MODEL_ARCH_T5: return &arch_t5;
    }
    return NULL;
}

rt_status model_set_compute(model *m, compute_mode mode, rt_error *err)
{
    RT_ASSERT(mode != COMPUTE_AUTO);
    size_t n = m->table.n_total;
    if (mode != COMPUTE_F32 && m->weights_high == NULL)
        m->weights_high = rt_calloc(n, sizeof(bf16));
    if (mode == COMPUTE_BF16X3 && m->weights_low == NULL)
        m->weights_low = rt_calloc(n, sizeof(bf16));
    if ((mode != COMPUTE_F32 && m->weights_high == NULL) ||
        (mode == COMPUTE_BF16X3 && m->weights_low == NULL))
        return rt_fail(err, RT_NOMEM, "bfloat16 copy of %zu weights", n);
    m->compute = mode;
    m->halves_version = 0;
    return RT_OK;
}

void model_decode_in_halves(model *m, bool on)
{
    RT_ASSERT(m->packed == NULL);
    m->halves_decode = on;
}

compute_mode model_compute(const model *m)
{
    return m->compute;
}

static void convert_range(model *m, size_t first, size_t end)
{
    const float *w = m->weights + first;
    if (m->compute == COMPUTE_BF16X3)
        bf16_split_f32(w, end - first, m->weights_high + first, m->weights_low + first);
    else
        bf16_from_f32(w, end - first, m->weights_high + first);
}

/* Weights change once per step, but are read by every micro-batch of it. No product reads a matrix
 * whose rows are looked up alone: its halves are never made, and their pages never touched. */
static void convert_weights(model *m)
{
    if (m->compute == COMPUTE_F32 || m->halves_version == m->weights_version) return;
    size_t first = m->table.n_total, end = first;
    if (m->i_input >= 0) {
        const param *input = &m->table.params[m->i_input];
        first = input->offset;
        end = first + input->shape[0] * input->shape[1];
    }
    convert_range(m, 0, first);
    convert_range(m, end, m->table.n_total);
    m->halves_version = m->weights_version;
}

void model_begin(model *m, bool with_grads)
{
    RT_ASSERT(!with_grads || m->owner == NULL);
    parallel_enter();
    convert_weights(m);
    tape_begin(m->tape, with_grads);
    tape_set_compute(m->tape, m->compute);
    m->with_grads = with_grads;
    m->n_used = 0;
    m->used = tape_alloc(m->tape, m->table.n_params, sizeof *m->used);
}

tensor *model_param(model *m, size_t i, size_t n)
{
    if (m->used == NULL) return NULL;
    const param *first = &m->table.params[i];
    size_t n_rows = 0, n_cols = first->n_dims == 2 ? first->shape[1] : first->shape[0];
    bool frozen = true;
    for (size_t k = i; k < i + n; k++) {
        const param *p = &m->table.params[k];
        RT_ASSERT(p->offset == first->offset + n_rows * n_cols);
        n_rows += p->n_dims == 2 ? p->shape[0] : 1;
        frozen = frozen && p->frozen;
    }
    /* A tied matrix is one tensor for all its readers: its gradients add up. */
    for (size_t k = 0; k < m->n_used; k++)
        if (m->used[k]->data == m->weights + first->offset) return m->used[k];
    float *grads = m->with_grads && !frozen ? m->grads + first->offset : NULL;
    tensor *x = tape_param(m->tape, m->weights + first->offset, grads, n_rows, n_cols);
    if (x == NULL) return NULL;
    if (m->compute != COMPUTE_F32) x->high = m->weights_high + first->offset;
    if (m->compute == COMPUTE_BF16X3) x->low = m->weights_low + first->offset;
    m->used[m->n_used++] = x;
    return x;
}

size_t model_head_width(const model *m)
{
    return m->table.params[m->arch->head_param(m)].shape[1];
}

/* Which sequences of a batch a pass reads. A sequence whose task or example has weight 0 gives no
 * gradient: it is only evaluated, so alpha = 1 is plain training to the last bit. */
typedef enum selection { SELECT_ALL, SELECT_LEARNT, SELECT_IDLE } selection;

/* One pass's view of its batch: what the model reads, and one row for each target token. */
typedef struct plan {
    const packed_batch *batch;
    const loss_spec *spec; /* NULL: all that is wanted are losses */
    selection select;
    bool has_encoder;
    uint32_t start_id; /* what a decoder reads first */
    model_input input;
    size_t n_targets;
    uint32_t *rows;    /* [n_targets], token position whose output predicts the target */
    uint32_t *targets; /* [n_targets] */
    float *scales;     /* [n_targets], factor of the gradient */
    float *losses;     /* out [n_targets] */
    bool *exact;       /* out [n_targets] */
} plan;

/* Factor of a sequence's part of the gradient: weight_k / C_k * w. */
static float gradient_scale(const plan *p, const packed_seq *s)
{
    if (p->spec == NULL || s->weight == 0) return 0;
    const loss_task *task = &p->spec->tasks[s->task];
    return (float)((double)task->weight * s->weight / task->count);
}

static bool plan_takes(const plan *p, const packed_seq *s)
{
    return p->select == SELECT_ALL || (gradient_scale(p, s) > 0) == (p->select == SELECT_LEARNT);
}

static rt_status check_spec(const packed_batch *batch, const loss_spec *spec, rt_error *err)
{
    if (spec->n_tasks == 0 || spec->n_tasks > LOSS_TASKS_MAX)
        return rt_fail(err, RT_INVALID, "loss: %zu tasks, expected 1 to %d", spec->n_tasks,
                       LOSS_TASKS_MAX);
    for (size_t k = 0; k < spec->n_tasks; k++) {
        const loss_task *task = &spec->tasks[k];
        if (!(isfinite(task->weight) && task->weight >= 0 && isfinite(task->count) &&
              task->count >= 0))
            return rt_fail(err, RT_INVALID,
                           "loss: task %zu has weight %g and count %g, expected both at least 0", k,
                           (double)task->weight, task->count);
    }
    for (size_t i = 0; i < batch->n_seqs; i++) {
        const packed_seq *s = &batch->seqs[i];
        if (s->task >= spec->n_tasks)
            return rt_fail(err, RT_CORRUPT, "batch: sequence %zu has task %u, expected below %zu",
                           i, s->task, spec->n_tasks);
        if (s->weight > 0 && spec->tasks[s->task].count <= 0)
            return rt_fail(err, RT_INVALID,
                           "loss: task %u has count 0, but sequence %zu belongs to it", s->task, i);
    }
    return RT_OK;
}

/* Tokens of a sequence that the axis of the head holds. The last target token is predicted but
 * never read; an encoder-decoder has its prompt on the other axis and a start in its place. */
static size_t tokens_read(const plan *p, const packed_seq *s)
{
    return p->has_encoder ? s->n_target : s->n_prompt + s->n_target - 1;
}

static rt_status plan_sizes(plan *p, rt_error *err)
{
    for (size_t i = 0; i < p->batch->n_seqs; i++) {
        const packed_seq *s = &p->batch->seqs[i];
        if (s->n_target == 0)
            return rt_fail(err, RT_CORRUPT, "batch: sequence %zu has no target token", i);
        if (!plan_takes(p, s)) continue;
        p->n_targets += s->n_target;
        p->input.n_tokens += tokens_read(p, s);
        p->input.n_source_tokens += p->has_encoder ? s->n_prompt : 0;
        p->input.n_spans++;
    }
    return RT_OK;
}

static rng_key dropout_key(const packed_batch *batch, const packed_seq *s)
{
    rng_key key = rng_key_make(batch->seed, "dropout", s->record_id, batch->epoch);
    key.prefix[1] ^= s->task; /* both tasks of a record may be in one batch */
    return key;
}

/* Where the arrays of a plan are being filled. */
typedef struct plan_fill {
    uint32_t *ids, *positions, *source_ids;
    row_span *spans, *source_spans;
    rng_key *keys;
    size_t n_tokens, n_source_tokens, n_rows, n_spans;
} plan_fill;

/* The prompt to the encoder; to the decoder the target, one place later. */
static void split_ids(const plan *p, plan_fill *at, const packed_seq *s)
{
    const uint32_t *ids = p->batch->ids + s->first;
    at->source_spans[at->n_spans] = (row_span){.first = at->n_source_tokens, .n = s->n_prompt};
    memcpy(at->source_ids + at->n_source_tokens, ids, s->n_prompt * sizeof *ids);
    at->n_source_tokens += s->n_prompt;
    at->ids[at->n_tokens] = p->start_id;
    memcpy(at->ids + at->n_tokens + 1, ids + s->n_prompt, (s->n_target - 1) * sizeof *ids);
}

static void plan_add(plan *p, plan_fill *at, const packed_seq *s)
{
    size_t n = tokens_read(p, s), first = at->n_tokens;
    size_t first_row = first + n - s->n_target; /* the head reads the last rows */
    float scale = gradient_scale(p, s);
    const uint32_t *ids = p->batch->ids + s->first;
    if (p->input.dropout > 0) at->keys[at->n_spans] = dropout_key(p->batch, s);
    if (p->has_encoder)
        split_ids(p, at, s);
    else
        memcpy(at->ids + first, ids, n * sizeof *ids);
    at->spans[at->n_spans++] = (row_span){.first = first, .n = n};
    for (size_t j = 0; j < n; j++) at->positions[first + j] = (uint32_t)j;
    for (size_t j = 0; j < s->n_target; j++, at->n_rows++) {
        p->rows[at->n_rows] = (uint32_t)(first_row + j);
        p->targets[at->n_rows] = ids[s->n_prompt + j];
        p->scales[at->n_rows] = scale;
    }
    at->n_tokens += n;
}

static rt_status plan_make(model *m, float dropout, plan *p, rt_error *err)
{
    tape *t = m->tape;
    p->has_encoder = model_config_has_encoder(&m->config);
    p->start_id = m->config.decoder_start_id;
    rt_status st = plan_sizes(p, err);
    if (st != RT_OK) return st;
    plan_fill at = {.ids = tape_alloc(t, p->input.n_tokens, sizeof *at.ids),
                    .positions = tape_alloc(t, p->input.n_tokens, sizeof *at.positions),
                    .spans = tape_alloc(t, p->input.n_spans, sizeof *at.spans),
                    .keys = tape_alloc(t, p->input.n_spans, sizeof *at.keys)};
    if (p->has_encoder) {
        at.source_ids = tape_alloc(t, p->input.n_source_tokens, sizeof *at.source_ids);
        at.source_spans = tape_alloc(t, p->input.n_spans, sizeof *at.source_spans);
    }
    p->rows = tape_alloc(t, p->n_targets, sizeof *p->rows);
    p->targets = tape_alloc(t, p->n_targets, sizeof *p->targets);
    p->scales = tape_alloc(t, p->n_targets, sizeof *p->scales);
    p->losses = tape_alloc(t, p->n_targets, sizeof *p->losses);
    p->exact = tape_alloc(t, p->n_targets, sizeof *p->exact);
    if ((st = tape_status(t, err)) != RT_OK) return st;
    p->input.dropout = dropout;
    p->input.ids = at.ids;
    p->input.positions = at.positions;
    p->input.spans = at.spans;
    p->input.dropout_keys = at.keys;
    p->input.source_ids = at.source_ids;
    p->input.source_spans = at.source_spans;
    for (size_t i = 0; i < p->batch->n_seqs; i++)
        if (plan_takes(p, &p->batch->seqs[i])) plan_add(p, &at, &p->batch->seqs[i]);
    return RT_OK;
}

/* The embedding's gradient is 0 already but for the rows of the step before: op_embed() need not clear
 * the whole of it, which for a large vocabulary is most of the model. */
static void begin_touched_rows(model *m, const plan *p)
{
    if (m->i_input < 0) return;
    const param *embed = &m->table.params[m->i_input];
    touched_rows_clear(&m->touched, m->grads + embed->offset, embed->shape[1]);
    for (size_t k = 0; k < m->n_used; k++) {
        tensor *x = m->used[k];
        if (x->data != m->weights + embed->offset || x->frozen) continue;
        x->grad_written = true;
        touched_rows_add(&m->touched, p->input.ids, p->input.n_tokens);
        touched_rows_add(&m->touched, p->input.source_ids, p->input.n_source_tokens);
    }
    touched_rows_sort(&m->touched);
}

/* Gradients of parameters that nothing reached, and of frozen ones inside a fused matrix, are 0. */
static void clear_untouched(model *m)
{
    for (size_t k = 0; k < m->n_used; k++) {
        tensor *x = m->used[k];
        float *grads = m->grads + (x->data - m->weights);
        if (!x->grad_written) memset(grads, 0, x->n_rows * x->n_cols * sizeof *grads);
    }
    for (size_t i = 0; i < m->table.n_params; i++) {
        const param *p = &m->table.params[i];
        if (p->frozen) memset(m->grads + p->offset, 0, p->n * sizeof(float));
    }
}

static rt_status check_call(const model *m, const packed_batch *batch, const loss_spec *spec,
                            rt_error *err)
{
    rt_status st = packed_batch_check(batch, m->config.n_vocab, m->config.seq_len_max, err);
    return st == RT_OK && spec != NULL ? check_spec(batch, spec, err) : st;
}

/* One pass over the plan's part of a checked batch. */
static rt_status run(model *m, plan *p, bool backward, rt_error *err)
{
    tape *t = m->tape;
    model_begin(m, backward);
    rt_status st = plan_make(m, backward ? m->config.dropout : 0, p, err);
    if (st != RT_OK || p->input.n_spans == 0) return st;
    model_trace trace;
    if (m->arch->forward(m, &p->input, &trace)) {
        tensor *last = trace.layers[trace.n_layers];
        tensor *hidden = m->arch->final_norm(m, last, p->rows, p->n_targets);
        head_loss(t, hidden, model_param(m, m->arch->head_param(m), 1), &loss_cross_entropy, NULL,
                  p->targets, p->scales, p->losses, p->exact);
    }
    if ((st = tape_status(t, err)) != RT_OK || !backward) return st;
    begin_touched_rows(m, p);
    st = tape_backward(t, err);
    clear_untouched(m);
    return st;
}

static void add_sums(const plan *p, loss_sums *sums)
{
    size_t row = 0;
    for (size_t i = 0; i < p->batch->n_seqs; i++) {
        const packed_seq *s = &p->batch->seqs[i];
        if (!plan_takes(p, s)) continue;
        double loss = 0;
        bool exact = true;
        for (size_t j = 0; j < s->n_target; j++, row++) {
            loss += p->losses[row];
            exact = exact && p->exact[row];
        }
        sums->loss[s->task] += s->weight * loss;
        sums->count[s->task] += (double)s->weight * (double)s->n_target;
        sums->n_seqs[s->task]++;
        sums->n_exact[s->task] += exact;
    }
}

rt_status model_gradient(model *m, const packed_batch *batch, const loss_spec *spec, loss_sums *out,
                         rt_error *err)
{
    loss_sums sums = {0};
    plan idle = {.batch = batch, .spec = spec, .select = SELECT_IDLE};
    plan learnt = {.batch = batch, .spec = spec, .select = SELECT_LEARNT};
    rt_status st = check_call(m, batch, spec, err);
    if (st == RT_OK) st = run(m, &idle, false, err);
    if (st != RT_OK) return st;
    add_sums(&idle, &sums);
    if ((st = run(m, &learnt, true, err)) != RT_OK) return st;
    if (learnt.input.n_spans == 0) {
        memset(m->grads, 0, m->table.n_total * sizeof *m->grads);
        m->touched.n = 0;
    }
    add_sums(&learnt, &sums);
    /* So a first step's blocks are gone before the optimizer's memory comes. */
    tape_begin(m->tape, false);
    *out = sums;
    return RT_OK;
}

rt_status model_evaluate(model *m, const packed_batch *batch, const loss_spec *spec, loss_sums *out,
                         rt_error *err)
{
    loss_sums sums = {0};
    plan p = {.batch = batch, .spec = spec};
    rt_status st = check_call(m, batch, spec, err);
    if (st == RT_OK) st = run(m, &p, false, err);
    if (st != RT_OK) return st;
    add_sums(&p, &sums);
    *out = sums;
    return RT_OK;
}

rt_status model_score(model *m, const packed_batch *batch, double *out, rt_error *err)
{
    plan p = {.batch = batch};
    rt_status st = check_call(m, batch, NULL, err);
    if (st == RT_OK) st = run(m, &p, false, err);
    if (st != RT_OK) return st;
    size_t row = 0;
    for (size_t i = 0; i < batch->n_seqs; i++) {
        double loss = 0;
        for (size_t j = 0; j < batch->seqs[i].n_target; j++, row++) loss += p.losses[row];
        out[i] = -loss;
    }
    return RT_OK;
}
