/* Speed of one model_gradient() step on one shape.
 *
 *     bench_gradient d_model=128 n_layers=6 d_ff=384 n_tokens=1000
 *
 * Prints one line of JSON: the best of the steps, and how many times faster our matrix products are
 * than the plain loops of gemm_reference() on the model's largest product, measured in the same run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/nn/gemm.h"
#include "common/nn/model.h"

typedef struct setting {
    const char *name;
    uint64_t value;
    const char *help;
} setting;

enum { D_MODEL, N_LAYERS, N_HEADS, N_KV, D_FF, N_VOCAB, N_TOKENS, SEQ, PROMPT, STEPS, THREADS };

static setting settings[] = {
    [D_MODEL] = {"d_model", 128, "width"},
    [N_LAYERS] = {"n_layers", 6, "layers"},
    [N_HEADS] = {"n_heads", 4, "query heads"},
    [N_KV] = {"n_kv_heads", 4, "key heads"},
    [D_FF] = {"d_ff", 384, "width of the feed-forward block"},
    [N_VOCAB] = {"n_vocab", 512, "vocabulary"},
    [N_TOKENS] = {"n_tokens", 1000, "tokens of a micro-batch"},
    [SEQ] = {"seq_len", 63, "tokens of a sequence"},
    [PROMPT] = {"n_prompt", 36, "tokens of its prompt"},
    [STEPS] = {"steps", 20, "measured steps"},
    [THREADS] = {"threads", 1, "threads"},
};

static bool parse_settings(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool known = false;
        for (size_t k = 0; k < RT_COUNT(settings); k++) {
            size_t n = strlen(settings[k].name);
            if (strncmp(argv[i], settings[k].name, n) != 0 || argv[i][n] != '=') continue;
            known = rt_parse_u64(argv[i] + n + 1, &settings[k].value);
        }
        if (known) continue;
        fprintf(stderr, "%s: expected key=value with a key of:\n", argv[i]);
        for (size_t k = 0; k < RT_COUNT(settings); k++)
            fprintf(stderr, "  %-11s %s (%" PRIu64 ")\n", settings[k].name, settings[k].help,
                    settings[k].value);
        return false;
    }
    return true;
}

static size_t get(int which)
{
    return (size_t)settings[which].value;
}

/* Seconds of the best of `n` runs of one product, by BLAS or by the plain loops. */
static double time_product(bool plain, size_t n)
{
    size_t rows = get(N_TOKENS), d = get(D_MODEL), out = 2 * get(D_FF);
    float *x = rt_calloc(rows * d, sizeof *x), *w = rt_calloc(out * d, sizeof *w);
    float *y = rt_calloc(rows * out, sizeof *y);
    double best = 1e30;
    for (size_t i = 0; x != NULL && w != NULL && y != NULL && i < n; i++) {
        double start = rt_clock_mono_s();
        if (plain)
            gemm_reference(GEMM_N, GEMM_T, rows, out, d, 1, x, d, w, d, 0, y, out);
        else
            gemm(GEMM_N, GEMM_T, rows, out, d, 1, x, d, w, d, 0, y, out);
        best = RT_MIN(best, rt_clock_mono_s() - start);
    }
    free(x);
    free(w);
    free(y);
    return best;
}

static size_t fill_batch(uint32_t *ids, packed_seq *seqs)
{
    rng_key key = rng_key_make(1, "bench", (rt_id){0}, 0);
    for (size_t i = 0; i < get(N_TOKENS); i++) ids[i] = (uint32_t)rng_below(key, i, get(N_VOCAB));
    size_t n = get(N_TOKENS) / get(SEQ);
    for (size_t i = 0; i < n; i++)
        seqs[i] = (packed_seq){.first = i * get(SEQ),
                               .n_prompt = get(PROMPT),
                               .n_target = get(SEQ) - get(PROMPT),
                               .weight = 1,
                               .record_id = {.low = i}};
    return n;
}

static rt_status measure(model *m, const packed_batch *batch, rt_error *err)
{
    loss_spec spec = {.n_tasks = 1, .tasks = {{.weight = 1, .count = (double)batch->n_tokens}}};
    loss_sums sums;
    double best = 1e30, total = 0;
    for (size_t i = 0; i < get(STEPS) + 2; i++) {
        double start = rt_clock_mono_s();
        rt_status st = model_gradient(m, batch, &spec, &sums, err);
        if (st != RT_OK) return st;
        double took = rt_clock_mono_s() - start;
        if (i < 2) continue; /* buffers grow to their size first */
        total += took;
        best = RT_MIN(best, took);
    }
    double mean = total / (double)get(STEPS), n_tokens = (double)batch->n_tokens;
    double gflop =
        6e-9 * (double)model_table(m)->n_total * n_tokens; /* 6 per parameter and token */
    printf(
        "{\"bench\":\"gradient\",\"kernel\":\"%s\",\"threads\":%zu,\"params\":%zu,\"tokens_step\":%zu,"
        "\"ms_step\":%.2f,\"ms_step_mean\":%.2f,\"tok_s\":%.0f,\"gflops\":%.1f,"
        "\"ratio_to_plain_loops\":%.1f}\n",
        nn_blas_name(), get(THREADS), model_table(m)->n_total, batch->n_tokens, best * 1e3,
        mean * 1e3, n_tokens / best, gflop / best, time_product(true, 2) / time_product(false, 10));
    return RT_OK;
}

int main(int argc, char **argv)
{
    if (!parse_settings(argc, argv)) return 2;
    if (get(SEQ) <= get(PROMPT) || get(PROMPT) == 0 || get(N_TOKENS) < get(SEQ) ||
        get(N_HEADS) == 0 || get(STEPS) == 0) {
        fprintf(stderr, "expected 0 < n_prompt < seq_len <= n_tokens, n_heads > 0 and steps > 0\n");
        return 2;
    }
    rt_error err = {0};
    rt_status st = RT_OK;
    model *m = NULL;
    uint32_t *ids = rt_calloc(get(N_TOKENS), sizeof *ids);
    packed_seq *seqs = rt_calloc(get(N_TOKENS), sizeof *seqs);
    model_config config = {.arch = MODEL_ARCH_LLAMA,
                           .n_vocab = get(N_VOCAB),
                           .d_model = get(D_MODEL),
                           .n_layers = get(N_LAYERS),
                           .n_heads = get(N_HEADS),
                           .n_kv_heads = get(N_KV),
                           .d_head = get(D_MODEL) / get(N_HEADS),
                           .d_ff = get(D_FF),
                           .seq_len_max = get(SEQ),
                           .rope_theta = 10000,
                           .norm_eps = 1e-5f,
                           .tied = true};
    nn_set_threads(get(THREADS));
    if (ids == NULL || seqs == NULL) st = rt_fail(&err, RT_NOMEM, "batch");
    if (st == RT_OK) st = model_new(&config, &m, &err);
    if (st == RT_OK) {
        param_table_init(model_table(m), &config, 1, model_weights(m));
        size_t n_seqs = fill_batch(ids, seqs);
        packed_batch batch = {
            .ids = ids, .n_tokens = n_seqs * get(SEQ), .seqs = seqs, .n_seqs = n_seqs};
        st = measure(m, &batch, &err);
    }
    if (st != RT_OK) fprintf(stderr, "bench_gradient: %s\n", err.text);
    model_free(m);
    free(ids);
    free(seqs);
    return st == RT_OK ? 0 : 1;
}
