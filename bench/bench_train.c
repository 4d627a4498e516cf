/* Speed of whole training steps (gradient and AdamW) on the shapes of the PyTorch peer.
 *
 *     bench_train config=b compute=bf16 threads=1 steps=10
 *
 * Prints one line of JSON; docs/speed.md says how it is compared.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/median.h"
#include "bench/shapes.h"
#include "bench/trainer.h"
#include "common/base/bytes.h"

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
    return strncmp(arg, "compute=", 8) == 0 && trainer_parse_compute(arg + 8, &o->compute);
}

static rt_status measure(trainer *t, const options *o, const bench_shape *shape, rt_error *err)
{
    double *gradient = rt_calloc(o->steps, sizeof *gradient),
           *update = rt_calloc(o->steps, sizeof *update);
    double *whole = rt_calloc(o->steps, sizeof *whole);
    trainer_times took;
    rt_status st = gradient == NULL || update == NULL || whole == NULL
                       ? rt_fail(err, RT_NOMEM, "times")
                       : RT_OK;
    for (uint64_t i = 0; st == RT_OK && i < o->steps + 2; i++) {
        st = trainer_step(t, &shape->batch, &took, err);
        if (st != RT_OK || i < 2) continue; /* buffers grow first */
        gradient[i - 2] = took.gradient_s;
        update[i - 2] = took.adamw_s;
        whole[i - 2] = took.gradient_s + took.adamw_s;
    }
    if (st == RT_OK) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double step = bench_median(whole, o->steps), adamw = bench_median(update, o->steps);
        size_t n = model_table(t->model)->n_total;
        printf("{\"bench\":\"train\",\"config\":\"%c\",\"compute\":\"%s\",\"threads\":%" PRIu64
               ",\"kernel\":\"%s\",\"params\":%zu,\"tokens_step\":%zu,\"ms_step\":%.2f,"
               "\"ms_gradient\":%.2f,\"ms_adamw\":%.2f,\"adamw_ns_param\":%.2f,\"tok_s\":%.1f,"
               "\"gflop_step\":%.2f,\"gflops\":%.1f,\"loss\":%.4f,\"peak_rss_mb\":%ld}\n",
               o->config, compute_mode_name(model_compute(t->model)), o->threads, nn_blas_name(), n,
               shape->n_tokens_counted, step * 1e3, bench_median(gradient, o->steps) * 1e3,
               adamw * 1e3, adamw * 1e9 / (double)n, (double)shape->n_tokens_counted / step,
               shape->gflop_step, shape->gflop_step / step, t->loss, usage.ru_maxrss / 1024);
    }
    free(gradient);
    free(update);
    free(whole);
    return st;
}

static rt_status run(const options *o, rt_error *err)
{
    trainer t = {0};
    bench_shape shape = {0};
    rt_status st = bench_shape_get(o->config, &shape, err);
    if (st != RT_OK) return st;
    nn_set_threads(o->threads);
    if ((st = trainer_open(&shape.config, o->compute, &t, err)) == RT_OK)
        st = measure(&t, o, &shape, err);
    trainer_close(&t);
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
