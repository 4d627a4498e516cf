/* Speed of whole training steps (gradient and AdamW) on the shapes of the PyTorch peer.
 *
 *     bench_train config=b compute=bf16 threads=1 steps=10
 *
 * Prints one line of JSON; docs/speed.md says how it is compared.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/shapes.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/nn/model.h"
#include "common/nn/optim/adamw.h"

typedef struct options {
    char config;
    compute_mode compute;
    uint64_t threads, steps;
} options;

static bool parse_option(const char *arg, options *o)
{
    if (strncmp(arg, "config=", 7) == 0) return (o->config = arg[7]) != '\0' && arg[8] == '\0';
    if (strncmp(arg, "threads=", 8) == 0) return rt_parse_u64(arg + 8, &o->threads);
    if (strncmp(arg, "steps=", 6) == 0) return rt_parse_u64(arg + 6, &o->steps) && o->steps > 0;
    if (strncmp(arg, "compute=", 8) != 0) return false;
    for (int i = COMPUTE_F32; i <= COMPUTE_AUTO; i++) {
        if (strcmp(arg + 8, compute_mode_name((compute_mode)i)) != 0) continue;
        o->compute = (compute_mode)i;
        return true;
    }
    return false;
}

typedef struct trainer {
    model *model;
    float *first, *second; /* AdamW's moments, [n_total] */
    packed_batch batch;
    uint64_t step;
    double loss;
} trainer;

static rt_status train_step(trainer *s, double took[2], rt_error *err)
{
    const adamw_settings adamw = {
        .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.01f};
    loss_spec spec = {.n_tasks = 1, .tasks = {{.weight = 1}}};
    loss_sums sums;
    for (size_t i = 0; i < s->batch.n_seqs; i++)
        spec.tasks[0].count += (double)s->batch.seqs[i].n_target;
    double start = rt_clock_mono_s();
    rt_status st = model_gradient(s->model, &s->batch, &spec, &sums, err);
    if (st != RT_OK) return st;
    double between = rt_clock_mono_s();
    size_t n = model_table(s->model)->n_total;
    adamw_update(&adamw, 1e-4f, 1, ++s->step, true, n, model_grads(s->model),
                 model_weights(s->model), s->first, s->second);
    took[0] = between - start;
    took[1] = rt_clock_mono_s() - between;
    s->loss = sums.loss[0] / sums.count[0];
    return RT_OK;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare);
    return x[n / 2];
}

static rt_status measure(trainer *s, const options *o, const bench_shape *shape, rt_error *err)
{
    double *gradient = rt_calloc(o->steps, sizeof *gradient),
           *update = rt_calloc(o->steps, sizeof *update);
    double *whole = rt_calloc(o->steps, sizeof *whole), took[2];
    rt_status st = gradient == NULL || update == NULL || whole == NULL
                       ? rt_fail(err, RT_NOMEM, "times")
                       : RT_OK;
    for (uint64_t i = 0; st == RT_OK && i < o->steps + 2; i++) {
        if ((st = train_step(s, took, err)) != RT_OK || i < 2) continue; /* buffers grow first */
        gradient[i - 2] = took[0];
        update[i - 2] = took[1];
        whole[i - 2] = took[0] + took[1];
    }
    if (st == RT_OK) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double step = median(whole, o->steps), adamw = median(update, o->steps);
        size_t n = model_table(s->model)->n_total;
        printf("{\"bench\":\"train\",\"config\":\"%c\",\"compute\":\"%s\",\"threads\":%" PRIu64
               ",\"kernel\":\"%s\",\"params\":%zu,\"tokens_step\":%zu,\"ms_step\":%.2f,"
               "\"ms_gradient\":%.2f,\"ms_adamw\":%.2f,\"adamw_ns_param\":%.2f,\"tok_s\":%.1f,"
               "\"gflop_step\":%.2f,\"gflops\":%.1f,\"loss\":%.4f,\"peak_rss_mb\":%ld}\n",
               o->config, compute_mode_name(model_compute(s->model)), o->threads, nn_blas_name(), n,
               shape->n_tokens_counted, step * 1e3, median(gradient, o->steps) * 1e3, adamw * 1e3,
               adamw * 1e9 / (double)n, (double)shape->n_tokens_counted / step, shape->gflop_step,
               shape->gflop_step / step, s->loss, usage.ru_maxrss / 1024);
    }
    free(gradient);
    free(update);
    free(whole);
    return st;
}

static rt_status run(const options *o, rt_error *err)
{
    trainer s = {0};
    bench_shape shape = {0};
    rt_status st = bench_shape_get(o->config, &shape, err);
    if (st != RT_OK) return st;
    nn_set_threads(o->threads);
    if ((st = model_new(&shape.config, &s.model, err)) != RT_OK) goto out;
    compute_mode mode = COMPUTE_F32;
    if ((st = compute_mode_resolve(o->compute, &mode, err)) != RT_OK) goto out;
    if ((st = model_set_compute(s.model, mode, err)) != RT_OK) goto out;
    param_table_init(model_table(s.model), &shape.config, 1, model_weights(s.model));
    s.first = rt_calloc(model_table(s.model)->n_total, sizeof(float));
    s.second = rt_calloc(model_table(s.model)->n_total, sizeof(float));
    if (s.first == NULL || s.second == NULL) {
        st = rt_fail(err, RT_NOMEM, "moments");
        goto out;
    }
    s.batch = shape.batch;
    st = measure(&s, o, &shape, err);
out:
    free(s.first);
    free(s.second);
    model_free(s.model);
    bench_shape_free(&shape);
    return st;
}

int main(int argc, char **argv)
{
    options o = {.config = 'b', .threads = 1, .steps = 10};
    rt_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (parse_option(argv[i], &o)) continue;
        fprintf(stderr,
                "%s: expected config=a|b|c, compute=f32|bf16|bf16x3|auto, threads=N or steps=N\n",
                argv[i]);
        return 2;
    }
    if (run(&o, &err) == RT_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
