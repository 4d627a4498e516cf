/* Keys and values of the past, against plain loops in double: blocks that a window begins and ends in,
 * heads that share keys, copies, and numbers kept in halves. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/model/kv_memory.h"

#define N_LAYERS 2
#define N_SEQS   3
#define LONGEST  100

typedef struct kv_case {
    size_t n_heads, n_kv_heads, d_head;
    bool half;
} kv_case;

/* Component c of a key (what 0) or value (1), as the memory keeps it. */
static float kept(const kv_case *k, size_t what, size_t layer, size_t seq, size_t position,
                  size_t kv, size_t c)
{
    rng_key key = rng_key_make(1, "kv", (rt_id){.low = what, .high = layer}, (uint32_t)seq);
    float x = rng_normal(key, (position * k->n_kv_heads + kv) * k->d_head + c);
    bf16 h;
    if (!k->half) return x;
    bf16_from_f32(&x, 1, &h);
    return bf16_to_f32(h);
}

static void put(const kv_case *k, const kv_memory *m, size_t layer, size_t seq, size_t position)
{
    size_t n = k->n_kv_heads * k->d_head;
    float *keys = rt_calloc(n, sizeof *keys), *values = rt_calloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        keys[i] = kept(k, 0, layer, seq, position, i / k->d_head, i % k->d_head);
        values[i] = kept(k, 1, layer, seq, position, i / k->d_head, i % k->d_head);
    }
    kv_memory_put(m, layer, seq, position, keys, values);
    free(keys);
    free(values);
}

/* Sequence `holds` says whose keys and values are expected at a position of w->i_seq. */
static void check_window(const kv_case *k, const kv_memory *m, const kv_window *w, bool biased,
                         const size_t *holds)
{
    double weights[LONGEST], sum = 0, scale = 0.3;
    float scores[LONGEST + KV_SCORES_EXTRA], bias[LONGEST];
    size_t kv = w->head / (k->n_heads / k->n_kv_heads);
    float *q = rt_calloc(k->d_head, sizeof *q), *y = rt_calloc(k->d_head + 1, sizeof *y);
    for (size_t c = 0; c < k->d_head; c++) q[c] = (float)sin((double)(c + w->head));
    y[k->d_head] = 77;
    for (size_t j = 0; j < w->n; j++) {
        double dot = 0;
        bias[j] = (float)cos((double)j);
        for (size_t c = 0; c < k->d_head; c++)
            dot += (double)q[c] * kept(k, 0, w->i_layer, holds[w->first + j], w->first + j, kv, c);
        weights[j] = exp(scale * dot + (biased ? (double)bias[j] : 0));
        sum += weights[j];
    }
    kv_memory_attend(m, w, q, (float)scale, biased ? bias : NULL, scores, y);
    for (size_t c = 0; c < k->d_head; c++) {
        double wanted = 0;
        for (size_t j = 0; j < w->n; j++)
            wanted +=
                weights[j] / sum * kept(k, 1, w->i_layer, holds[w->first + j], w->first + j, kv, c);
        cr_expect_float_eq(y[c], wanted, 1e-5, "layer %zu sequence %zu head %zu [%zu, +%zu) c %zu",
                           w->i_layer, w->i_seq, w->head, w->first, w->n, c);
    }
    cr_expect_eq(y[k->d_head], 77, "something was written behind the result");
    free(q);
    free(y);
}

static void check_windows(const kv_case *k, const kv_memory *m, size_t seq, size_t n,
                          const size_t *holds)
{
    const size_t windows[][2] = {{0, 1},  {0, n},  {1, n - 1}, {31, 2},   {32, 1},
                                 {33, 7}, {15, 3}, {16, 33},   {n - 1, 1}};
    for (size_t i = 0; i < RT_COUNT(windows); i++) {
        size_t first = windows[i][0], length = windows[i][1];
        if (length == 0 || first + length > n) continue;
        for (size_t layer = 0; layer < N_LAYERS; layer++)
            for (size_t head = 0; head < k->n_heads; head++) {
                kv_window w = {
                    .i_layer = layer, .i_seq = seq, .head = head, .first = first, .n = length};
                check_window(k, m, &w, i % 2 == 1, holds);
            }
    }
}

ParameterizedTestParameters(kv_memory, gives_back_what_was_put)
{
    static kv_case cases[] = {
        {2, 2, 64, false}, {4, 2, 6, false}, {3, 1, 100, false}, {1, 1, 1, false},
        {2, 2, 64, true},  {4, 2, 6, true},  {3, 1, 100, true},  {2, 1, 33, true},
    };
    return cr_make_param_array(kv_case, cases, RT_COUNT(cases));
}
ParameterizedTest(kv_case *k, kv_memory, gives_back_what_was_put)
{
    const size_t capacities[N_SEQS] = {LONGEST, 1, 67}, lengths[N_SEQS] = {LONGEST, 1, 60};
    size_t holds[LONGEST];
    kv_memory m;
    head_shape shape = {.n_heads = k->n_heads, .n_kv_heads = k->n_kv_heads, .d_head = k->d_head};
    cr_assert(kv_memory_new(&m, N_LAYERS, shape, k->half, N_SEQS, LONGEST + 1 + 67));
    kv_memory_begin(&m, capacities, N_SEQS);
    for (size_t layer = 0; layer < N_LAYERS; layer++)
        for (size_t seq = 0; seq < N_SEQS; seq++)
            for (size_t j = 0; j < lengths[seq]; j++) put(k, &m, layer, seq, j);
    for (size_t seq = 0; seq < N_SEQS; seq++) {
        for (size_t j = 0; j < LONGEST; j++) holds[j] = seq;
        check_windows(k, &m, seq, lengths[seq], holds);
    }

    /* The third goes on as the first does, from a place within a block to one within another. */
    for (size_t j = 0; j < LONGEST; j++) holds[j] = j < 5 || j >= 66 ? 2 : 0;
    kv_memory_copy(&m, 2, 0, 5, 61);
    check_windows(k, &m, 2, 66, holds);
    for (size_t j = 0; j < LONGEST; j++) holds[j] = 0;
    check_windows(k, &m, 0, LONGEST, holds);
    kv_memory_free(&m);
}

Test(kv_memory, of_more_than_there_is_is_refused)
{
    kv_memory m;
    head_shape shape = {.n_heads = 8, .n_kv_heads = 8, .d_head = 64};
    cr_expect(!kv_memory_new(&m, 1000, shape, false, 10, SIZE_MAX / 1000));
    cr_expect_null(m.cache);
}
