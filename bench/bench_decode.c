/* Speed of greedy decoding on the shapes of the PyTorch peer.
 *
 *     bench_decode config=b batch=32 threads=1 steps=5
 *
 * Reading the prompts is timed by itself (one new token), decoding as what 64 more tokens take.
 * Prints one line of JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/median.h"
#include "bench/shapes.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/nn/generate.h"

#define N_PROMPT 128
#define N_NEW    64

typedef struct options {
    char config;
    bool half;
    uint64_t batch, threads, steps;
} options;

static bool parse_option(const char *arg, options *o)
{
    if (strncmp(arg, "config=", 7) == 0) return (o->config = arg[7]) != '\0' && arg[8] == '\0';
    if (strcmp(arg, "keep=f32") == 0 || strcmp(arg, "keep=bf16") == 0)
        return (o->half = arg[5] == 'b') || true;
    if (strncmp(arg, "threads=", 8) == 0) return rt_parse_u64(arg + 8, &o->threads);
    if (strncmp(arg, "steps=", 6) == 0) return rt_parse_u64(arg + 6, &o->steps) && o->steps > 0;
    return strncmp(arg, "batch=", 6) == 0 && rt_parse_u64(arg + 6, &o->batch) && o->batch > 0;
}

/* Seconds for `batch` prompts and n_new tokens after each. */
static rt_status time_once(model *m, const generate_prompt *prompts, size_t n, size_t n_new,
                           double *seconds, rt_error *err)
{
    generate_options how = {.max_new_tokens = n_new, .top_p = 1};
    generated *out = rt_calloc(n, sizeof *out);
    if (out == NULL) return rt_fail(err, RT_NOMEM, "answers");
    double start = rt_clock_mono_s();
    rt_status st = generate(m, prompts, n, &how, out, err);
    *seconds = rt_clock_mono_s() - start;
    for (size_t i = 0; st == RT_OK && i < n; i++)
        if (out[i].n_ids != n_new)
            st = rt_fail(err, RT_INVALID, "sequence %zu ended after %zu tokens, expected %zu", i,
                         out[i].n_ids, n_new);
    if (st == RT_OK) generated_free(out, n);
    free(out);
    return st;
}

static rt_status measure(model *m, const options *o, const generate_prompt *prompts, rt_error *err)
{
    size_t n = o->steps, n_seqs = o->batch;
    double *first = rt_calloc(n, sizeof *first), *rest = rt_calloc(n, sizeof *rest);
    rt_status st = first == NULL || rest == NULL ? rt_fail(err, RT_NOMEM, "times") : RT_OK;
    for (size_t i = 0; st == RT_OK && i < n + 1; i++) {
        double one = 0, all = 0;
        st = time_once(m, prompts, n_seqs, 1, &one, err);
        if (st == RT_OK) st = time_once(m, prompts, n_seqs, N_NEW + 1, &all, err);
        if (i == 0) continue; /* buffers grow first */
        first[i - 1] = one;
        rest[i - 1] = all - one;
    }
    if (st == RT_OK) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double prefill = bench_median(first, n), decode = bench_median(rest, n);
        printf("{\"bench\":\"decode\",\"config\":\"%c\",\"batch\":%zu,\"threads\":%" PRIu64
               ",\"kept\":\"%s\",\"prompt\":%d,\"new\":%d,\"prefill_tok_s\":%.1f,"
               "\"decode_tok_s\":%.1f,\"ms_per_step\":%.3f,\"peak_rss_mb\":%ld}\n",
               o->config, n_seqs, o->threads, o->half ? "bf16" : "f32", N_PROMPT, N_NEW,
               (double)n_seqs * N_PROMPT / prefill, (double)n_seqs * N_NEW / decode,
               decode * 1e3 / N_NEW, usage.ru_maxrss / 1024);
    }
    free(first);
    free(rest);
    return st;
}

static rt_status run(const options *o, rt_error *err)
{
    model *m = NULL;
    bench_shape shape = {0};
    uint32_t *ids = rt_calloc(o->batch * N_PROMPT, sizeof *ids);
    generate_prompt *prompts = rt_calloc(o->batch, sizeof *prompts);
    rt_status st = ids == NULL || prompts == NULL ? rt_fail(err, RT_NOMEM, "prompts")
                                                  : bench_shape_get(o->config, &shape, err);
    if (st != RT_OK) goto out;
    nn_set_threads(o->threads);
    if ((st = model_new(&shape.config, &m, err)) != RT_OK) goto out;
    model_decode_in_halves(m, o->half);
    param_table_init(model_table(m), &shape.config, 1, model_weights(m));
    rng_key key = rng_key_make(2, "bench", (rt_id){0}, 0);
    for (size_t i = 0; i < o->batch * N_PROMPT; i++)
        ids[i] = (uint32_t)rng_below(key, i, shape.config.n_vocab);
    for (size_t i = 0; i < o->batch; i++)
        prompts[i] = (generate_prompt){
            .ids = ids + i * N_PROMPT, .n_ids = N_PROMPT, .record_id = {.low = i}};
    st = measure(m, o, prompts, err);
out:
    model_free(m);
    bench_shape_free(&shape);
    free(prompts);
    free(ids);
    return st;
}

int main(int argc, char **argv)
{
    options o = {.config = 'b', .batch = 1, .threads = 1, .steps = 5};
    rt_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (parse_option(argv[i], &o)) continue;
        fprintf(stderr, "%s: expected config=a|b|c, batch=N, keep=f32|bf16, threads=N or steps=N\n",
                argv[i]);
        return 2;
    }
    if (run(&o, &err) == RT_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
