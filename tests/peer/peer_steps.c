/* One side of a comparison with another implementation: train the model of a folder for some steps on
 * a fixed batch, and write down what happened.
 *
 *     peer_steps FOLDER
 *
 *     reads    config.json  model.safetensors     a model folder
 *              batch.json                         sequences, tasks, optimizer (see read_plan)
 *     writes   losses.json                        the loss before each update
 *              grads.safetensors                  the first gradient, by name
 *              trained/model.safetensors          the weights at the end
 *
 * tests/peer/torch_peer.py is the other side.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/nn/optim/adamw.h"

#define SEQS_MAX   64
#define TOKENS_MAX 16384

typedef struct peer_plan {
    uint32_t ids[TOKENS_MAX];
    packed_seq seqs[SEQS_MAX];
    packed_batch batch;
    loss_spec spec;
    adamw_settings adamw;
    float lr;
    uint64_t n_steps;
} peer_plan;

static void must(rt_status st, const rt_error *err)
{
    if (st == RT_OK) return;
    fprintf(stderr, "peer_steps: %s\n", err->text);
    exit(1);
}

static void expect(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "peer_steps: batch.json: %s\n", what);
    exit(1);
}

static void path_in(const char *folder, const char *name, char out[4096])
{
    rt_error err = {0};
    must(rt_fs_join(out, 4096, folder, name, &err), &err);
}

static size_t add_ids(peer_plan *p, const json_t *list)
{
    size_t n = json_array_size(list);
    expect(p->batch.n_tokens + n <= TOKENS_MAX, "too many tokens");
    for (size_t i = 0; i < n; i++)
        p->ids[p->batch.n_tokens++] = (uint32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static float number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    expect(json_is_number(value), key);
    return (float)json_number_value(value);
}

/* {"sequences": [{"prompt": [ids], "target": [ids], "task": 0, "weight": 1.0}, ...],
 *  "task_weights": [0.7, 0.3], "steps": 20, "lr": 1e-3, "beta1": .., "beta2": .., "eps": ..,
 *  "weight_decay": ..} */
static void read_plan(const char *folder, peer_plan *p)
{
    char path[4096];
    json_error_t trouble;
    path_in(folder, "batch.json", path);
    json_t *root = json_load_file(path, 0, &trouble);
    expect(root != NULL, trouble.text);
    const json_t *sequences = json_object_get(root, "sequences");
    const json_t *weights = json_object_get(root, "task_weights");
    p->spec.n_tasks = json_array_size(weights);
    expect(p->spec.n_tasks > 0 && p->spec.n_tasks <= LOSS_TASKS_MAX, "task_weights");
    for (size_t k = 0; k < p->spec.n_tasks; k++)
        p->spec.tasks[k].weight = (float)json_number_value(json_array_get(weights, k));
    expect(json_array_size(sequences) <= SEQS_MAX, "too many sequences");
    for (size_t i = 0; i < json_array_size(sequences); i++) {
        const json_t *from = json_array_get(sequences, i);
        packed_seq *s = &p->seqs[p->batch.n_seqs++];
        s->first = p->batch.n_tokens;
        s->n_prompt = add_ids(p, json_object_get(from, "prompt"));
        s->n_target = add_ids(p, json_object_get(from, "target"));
        s->task = (uint32_t)json_integer_value(json_object_get(from, "task"));
        s->weight = number(from, "weight");
        expect(s->task < p->spec.n_tasks, "task");
        p->spec.tasks[s->task].count += (double)s->weight * (double)s->n_target;
    }
    p->batch.ids = p->ids;
    p->batch.seqs = p->seqs;
    p->lr = number(root, "lr");
    p->n_steps = (uint64_t)json_integer_value(json_object_get(root, "steps"));
    p->adamw = (adamw_settings){.beta1 = number(root, "beta1"),
                                .beta2 = number(root, "beta2"),
                                .eps = number(root, "eps"),
                                .weight_decay = number(root, "weight_decay")};
    json_decref(root);
}

static double loss_of(const peer_plan *p, const loss_sums *sums)
{
    double loss = 0;
    for (size_t k = 0; k < p->spec.n_tasks; k++)
        if (p->spec.tasks[k].count > 0)
            loss += p->spec.tasks[k].weight * sums->loss[k] / p->spec.tasks[k].count;
    return loss;
}

static void write_gradients(const char *folder, const model *m)
{
    const param_table *table = model_table(m);
    char path[4096];
    size_t n = 0;
    rt_error err = {0};
    tensor_source *sources = rt_calloc(table->n_params, sizeof *sources);
    expect(sources != NULL, "no memory");
    for (size_t i = 0; i < table->n_params; i++) {
        const param *one = &table->params[i];
        if (one->alias_of >= 0) continue;
        sources[n++] = (tensor_source){.name = one->name,
                                       .n_dims = one->n_dims,
                                       .shape = {one->shape[0], one->shape[1]},
                                       .data = model_grads(m) + one->offset};
    }
    path_in(folder, "grads.safetensors", path);
    must(safetensors_write(path, sources, n, TENSOR_F32, NULL, NULL, &err), &err);
    free(sources);
}

/* As a shard does it (worker/param_server/shard_state.c), without clipping. */
static void update(const peer_plan *p, model *m, uint64_t step, float *mean, float *square)
{
    const param_table *table = model_table(m);
    for (size_t i = 0; i < table->n_params; i++) {
        const param *one = &table->params[i];
        size_t at = one->offset;
        if (one->alias_of < 0)
            adamw_update(&p->adamw, p->lr * one->lr_scale, 1, step, one->decay, one->n,
                         model_grads(m) + at, model_weights(m) + at, mean + at, square + at);
    }
}

static void train(const char *folder, const peer_plan *p, model *m)
{
    char path[4096];
    size_t n = model_table(m)->n_total;
    float *mean = rt_calloc(n, sizeof *mean), *square = rt_calloc(n, sizeof *square);
    json_t *losses = json_array();
    rt_error err = {0};
    expect(mean != NULL && square != NULL && losses != NULL, "no memory");
    for (uint64_t step = 1; step <= p->n_steps; step++) {
        loss_sums sums;
        must(model_gradient(m, &p->batch, &p->spec, &sums, &err), &err);
        json_array_append_new(losses, json_real(loss_of(p, &sums)));
        if (step == 1) write_gradients(folder, m);
        update(p, m, step, mean, square);
    }
    path_in(folder, "losses.json", path);
    expect(json_dump_file(losses, path, 0) == 0, "losses.json cannot be written");
    path_in(folder, "trained", path);
    must(hf_weights_write(path, model_table(m), model_weights(m), TENSOR_F32, NULL, &err), &err);
    json_decref(losses);
    free(mean);
    free(square);
}

int main(int n_args, char **args)
{
    static peer_plan plan;
    model *m = NULL;
    rt_error err = {0};
    if (n_args != 2) {
        fprintf(stderr, "usage: peer_steps FOLDER\n");
        return 1;
    }
    nn_set_threads(1);
    read_plan(args[1], &plan);
    must(hf_model_load(args[1], &m, &err), &err);
    train(args[1], &plan, m);
    model_free(m);
    return 0;
}
