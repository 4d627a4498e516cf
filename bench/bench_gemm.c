/* Speed of matrix products on the shapes of a training step and of decoding, by every engine.
 *
 *     bench_gemm threads=1 rounds=15
 *     bench_gemm config=b
 *
 * One line of JSON a shape: GFLOP/s of the best of the rounds by OpenBLAS, oneDNN, bfloat16 and packed
 * panels, taken in turns, and the ratio of each to OpenBLAS. With a config of shapes.h one line for all
 * products of its training step: the speed that a step would have if it were nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/step_products.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/heap.h"
#include "common/base/rng.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/model.h"
#include "common/nn/packed_matrix.h"

typedef struct shape {
    const char *name;
    gemm_op op_a, op_b;
    size_t m, n, k;
} shape;

/* Config b of shapes.h: d 384, ff 1024, vocabulary 8000, 2048 tokens. */
static const shape shapes[] = {
    {"qkv forward", GEMM_N, GEMM_T, 2048, 1152, 384},
    {"qkv d_x", GEMM_N, GEMM_N, 2048, 384, 1152},
    {"qkv d_w", GEMM_T, GEMM_N, 1152, 384, 2048},
    {"gate|up forward", GEMM_N, GEMM_T, 2048, 2048, 384},
    {"down forward", GEMM_N, GEMM_T, 2048, 384, 1024},
    {"head forward", GEMM_N, GEMM_T, 128, 8000, 384},
    {"head d_w", GEMM_T, GEMM_N, 8000, 384, 128},
    {"decode 1 row", GEMM_N, GEMM_T, 1, 2048, 384},
    {"decode 32 rows", GEMM_N, GEMM_T, 32, 2048, 384},
};

enum { BY_OPENBLAS, BY_ONEDNN, BY_BF16, BY_PANELS, N_WAYS };
static const char *const way_names[N_WAYS] = {"openblas", "onednn", "bf16", "packed"};

typedef struct operands {
    float *a, *b, *c, *panels;
    bf16 *a_half, *b_half;
} operands;

static bool operands_make(const shape *s, operands *o)
{
    size_t n_a = s->m * s->k, n_b = s->k * s->n;
    rng_key key = rng_key_make(1, "bench", (rt_id){0}, 0);
    *o = (operands){.a = rt_calloc(n_a, sizeof(float)),
                    .b = rt_calloc(n_b, sizeof(float)),
                    .c = rt_calloc(s->m * s->n, sizeof(float)),
                    .panels = rt_heap_tensors(packed_matrix_bytes(s->n, s->k, false)),
                    .a_half = rt_calloc(n_a, sizeof(bf16)),
                    .b_half = rt_calloc(n_b, sizeof(bf16))};
    if (o->a == NULL || o->b == NULL || o->c == NULL || o->panels == NULL || o->a_half == NULL ||
        o->b_half == NULL)
        return false;
    for (size_t i = 0; i < n_a; i++) o->a[i] = rng_normal(key, i);
    for (size_t i = 0; i < n_b; i++) o->b[i] = rng_normal(key, n_a + i);
    bf16_from_f32(o->a, n_a, o->a_half);
    bf16_from_f32(o->b, n_b, o->b_half);
    packed_matrix_fill(o->b, s->n, s->k, false, o->panels);
    return true;
}

static void operands_free(operands *o)
{
    free(o->a);
    free(o->b);
    free(o->c);
    free(o->panels);
    free(o->a_half);
    free(o->b_half);
}

/* The panels hold b as [n, k], so they serve forward products alone. */
static bool can(const shape *s, int way)
{
    return way != BY_PANELS || (s->op_a == GEMM_N && s->op_b == GEMM_T);
}

static void multiply(const shape *s, const operands *o, int way)
{
    size_t lda = s->op_a == GEMM_T ? s->m : s->k, ldb = s->op_b == GEMM_T ? s->k : s->n;
    if (way == BY_PANELS) {
        packed_matrix_times(s->m, o->a, s->k, o->panels, false, s->n, o->c);
        return;
    }
    if (way == BY_BF16) {
        gemm_bf16(s->op_a, s->op_b, s->m, s->n, s->k, o->a_half, lda, o->b_half, ldb, 0, o->c,
                  s->n);
        return;
    }
    gemm_use(way == BY_ONEDNN ? GEMM_ONEDNN : GEMM_OPENBLAS);
    gemm(s->op_a, s->op_b, s->m, s->n, s->k, 1, o->a, lda, o->b, ldb, 0, o->c, s->n);
}

/* Seconds of the fastest round, by each way that can; false when memory ran out. */
static bool fastest(const shape *s, uint64_t rounds, double best[N_WAYS])
{
    operands o;
    bool ok = operands_make(s, &o);
    for (int way = 0; way < N_WAYS; way++) best[way] = 1e30;
    for (uint64_t i = 0; ok && i < rounds; i++)
        for (int way = 0; way < N_WAYS; way++) {
            if (!can(s, way)) continue;
            double start = rt_clock_mono_s();
            multiply(s, &o, way);
            best[way] = RT_MIN(best[way], rt_clock_mono_s() - start);
        }
    operands_free(&o);
    return ok;
}

static double gflop_of(const shape *s)
{
    return 2e-9 * (double)s->m * (double)s->n * (double)s->k;
}

static bool measure(const shape *s, uint64_t rounds, uint64_t threads)
{
    double best[N_WAYS];
    if (!fastest(s, rounds, best)) return false;
    printf("{\"bench\":\"gemm\",\"what\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"threads\":%" PRIu64,
           s->name, s->m, s->n, s->k, threads);
    for (int way = 0; way < N_WAYS; way++) {
        if (!can(s, way)) continue;
        printf(",\"%s_gflops\":%.1f", way_names[way], gflop_of(s) / best[way]);
        if (way != BY_OPENBLAS)
            printf(",\"%s_ratio\":%.2f", way_names[way], best[BY_OPENBLAS] / best[way]);
    }
    printf("}\n");
    return true;
}

static bool measure_step(char config, uint64_t rounds, uint64_t threads)
{
    step_product products[STEP_PRODUCTS_MAX];
    bench_shape bench = {0};
    double gflop = 0, seconds[N_WAYS] = {0}, best[N_WAYS];
    rt_error err = {0};
    if (bench_shape_get(config, &bench, &err) != RT_OK) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    bool ok = true;
    size_t n = step_products(&bench, products);
    bench_shape_free(&bench);
    for (size_t i = 0; ok && i < n; i++) {
        const step_product *p = &products[i];
        shape s = {"", p->op_a, p->op_b, p->m, p->n, p->k};
        ok = fastest(&s, rounds, best);
        gflop += p->times * gflop_of(&s);
        for (int way = 0; way < BY_PANELS; way++) seconds[way] += p->times * best[way];
    }
    if (!ok) return false;
    printf("{\"bench\":\"gemm\",\"what\":\"step\",\"config\":\"%c\",\"threads\":%" PRIu64
           ",\"gflop_step\":%.2f",
           config, threads, gflop);
    for (int way = 0; way < BY_PANELS; way++)
        printf(",\"%s_gflops\":%.1f", way_names[way], gflop / seconds[way]);
    printf("}\n");
    return true;
}

int main(int argc, char **argv)
{
    uint64_t threads = 1, rounds = 15;
    char config = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "threads=", 8) == 0 && rt_parse_u64(argv[i] + 8, &threads)) continue;
        if (strncmp(argv[i], "rounds=", 7) == 0 && rt_parse_u64(argv[i] + 7, &rounds) && rounds > 0)
            continue;
        if (strncmp(argv[i], "config=", 7) == 0 && strlen(argv[i]) == 8) {
            config = argv[i][7];
            continue;
        }
        fprintf(stderr, "%s: expected config=a|b|c, threads=N or rounds=N\n", argv[i]);
        return 2;
    }
    nn_set_threads(threads);
    if (config != 0) return measure_step(config, rounds, threads) ? 0 : 1;
    for (size_t i = 0; i < RT_COUNT(shapes); i++) {
        if (measure(&shapes[i], rounds, threads)) continue;
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    return 0;
}
