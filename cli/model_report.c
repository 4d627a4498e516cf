#include "cli/model_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/sizes.h"
#include "common/base/bytes.h"
#include "common/nn/gemm_speed.h"
#include "common/nn/model.h"

#define MANY_ROWS     ((size_t)256)
#define ONE_ROW_BYTES ((size_t)64 << 20) /* beyond most caches */

/* ---- how fast this machine is ---- */

rt_status machine_speed_measure(const model_config *config, const model_cost *cost,
                                size_t n_threads, double seconds_max, machine_speed *out,
                                rt_error *err)
{
    size_t k = config->d_model, n_wide = config->d_ff;
    size_t n_read =
        (size_t)cost->weight_bytes < ONE_ROW_BYTES ? (size_t)cost->weight_bytes : ONE_ROW_BYTES;
    size_t n_long = RT_MAX(n_read / sizeof(float) / k, (size_t)1);
    gemm_speed many = {0}, one = {0};
    nn_set_threads(n_threads);
    rt_status st =
        gemm_speed_measure(COMPUTE_F32, MANY_ROWS, n_wide, k, seconds_max / 2, &many, err);
    if (st == RT_OK) st = gemm_speed_measure(COMPUTE_F32, 1, n_long, k, seconds_max / 2, &one, err);
    if (st == RT_OK)
        *out = (machine_speed){.many_rows = many.mean,
                               .one_row = one.mean,
                               .n_threads = n_threads,
                               .kernel = nn_blas_name()};
    return st;
}

/* ---- text ---- */

static double tokens_of(const model_workload *w)
{
    return (double)w->n_seqs * (double)(w->n_prompt + w->n_target);
}

/* Three digits and a unit of a thousand: "12.3 MFLOP". */
static void print_flops(const char *label, double n, const char *more)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;
    while (n >= 1000 && i + 1 < RT_COUNT(units)) {
        n /= 1000;
        i++;
    }
    printf("  %-18s %6.*f %sFLOP%s\n", label, n >= 100 ? 0 : (n >= 10 ? 1 : 2), n, units[i], more);
}

static void print_bytes(const char *label, double n, const char *more)
{
    char text[24];
    size_print(n, text);
    printf("  %-18s %10s%s\n", label, text, more);
}

/* 60,506,624 */
static void print_count(const char *label, size_t n)
{
    char digits[32], text[48];
    int n_digits = snprintf(digits, sizeof digits, "%zu", n), at = 0;
    for (int i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    printf("  %-18s %15s\n", label, text);
}

static const char *act_name(model_ff_act act)
{
    switch (act) {
    case MODEL_FF_SWIGLU: return "swiglu";
    case MODEL_FF_RELU: return "relu";
    case MODEL_FF_GATED_GELU: return "gated gelu";
    }
    return "unknown";
}

static void print_shape(const model_report *r)
{
    const model_config *c = r->config;
    printf("%s (%s)\n\n", r->name, r->kind);
    if (model_config_has_encoder(c))
        printf("%s: %zu layers of the encoder, %zu of the decoder, ", model_arch_name(c->arch),
               c->n_layers, c->n_decoder_layers);
    else
        printf("%s: %zu layers, ", model_arch_name(c->arch), c->n_layers);
    printf("width %zu, %zu heads of %zu", c->d_model, c->n_heads, c->d_head);
    if (c->n_kv_heads != c->n_heads) printf(" (%zu for keys and values)", c->n_kv_heads);
    printf(",\nfeed-forward %zu (%s), %zu tokens in the vocabulary, %s head, sequences up to %zu\n",
           c->d_ff, act_name(c->ff_act), c->n_vocab, c->tied ? "tied" : "own", c->seq_len_max);
}

static void print_speed(const model_report *r)
{
    const machine_speed *s = r->speed;
    double train = s->many_rows / r->cost->flops_training * tokens_of(r->work);
    printf(
        "\nspeed here: an estimate from matrix products alone (%zu thread%s, %s, %.3g GFLOP/s)\n",
        s->n_threads, s->n_threads == 1 ? "" : "s", s->kernel, s->many_rows * 1e-9);
    printf("  %-18s %10.3g tokens/s for each student\n", "training", train);
    printf("  %-18s %10.3g tokens/s, one sequence at a time\n", "decoding",
           s->one_row / r->cost->flops_target_token);
}

void model_report_print(const model_report *r)
{
    const model_cost *cost = r->cost;
    print_shape(r);
    printf("\nparameters\n");
    for (model_part p = MODEL_PART_EMBEDDING; p < MODEL_N_PARTS; p++)
        if (cost->params[p] > 0) print_count(model_part_name(p), cost->params[p]);
    printf("\noperations, prompt of %zu tokens and target of %zu\n", r->work->n_prompt,
           r->work->n_target);
    print_flops("prompt token", cost->flops_prompt_token, " forward");
    print_flops("target token", cost->flops_target_token, " forward, with the head");
    print_flops("training", cost->flops_training / tokens_of(r->work),
                " a token: forward and twice that backward");
    printf("\nmemory in float32, training on %zu sequences (%.0f tokens) at a time\n",
           r->work->n_seqs, tokens_of(r->work));
    print_bytes("weights", cost->weight_bytes, "");
    print_bytes("gradient", cost->gradient_bytes, "");
    print_bytes("optimizer", cost->optimizer_bytes, " (AdamW, in the parameter server)");
    print_bytes("activations", cost->activation_bytes, " (an estimate)");
    print_bytes("keys and values",
                (double)r->work->n_prompt * cost->cache_prompt_bytes +
                    (double)r->work->n_target * cost->cache_target_bytes,
                " for each sequence that is decoded");
    if (r->speed != NULL) print_speed(r);
}

/* ---- JSON ---- */

static json_t *shape_json(const model_config *c)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:b}", "arch",
                     model_arch_name(c->arch), "n_vocab", (json_int_t)c->n_vocab, "d_model",
                     (json_int_t)c->d_model, "n_layers", (json_int_t)c->n_layers,
                     "n_decoder_layers", (json_int_t)c->n_decoder_layers, "n_heads",
                     (json_int_t)c->n_heads, "n_kv_heads", (json_int_t)c->n_kv_heads, "d_head",
                     (json_int_t)c->d_head, "ff_act", act_name(c->ff_act), "d_ff",
                     (json_int_t)c->d_ff, "seq_len_max", (json_int_t)c->seq_len_max, "tied",
                     (int)c->tied);
}

json_t *model_report_json(const model_report *r)
{
    const model_cost *cost = r->cost;
    json_t *params = json_object();
    for (model_part p = MODEL_PART_EMBEDDING; p < MODEL_N_PARTS; p++)
        json_object_set_new(params, model_part_name(p), json_integer((json_int_t)cost->params[p]));
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:o, s:{s:I, s:I, s:I}, s:{s:f, s:f, s:f, s:f}, s:{s:f, s:f, s:f, s:f, "
        "s:f, s:f}}",
        "name", r->name, "kind", r->kind, "shape", shape_json(r->config), "parameters", params,
        "workload", "sequences", (json_int_t)r->work->n_seqs, "prompt",
        (json_int_t)r->work->n_prompt, "target", (json_int_t)r->work->n_target, "flops",
        "prompt_token", cost->flops_prompt_token, "target_token", cost->flops_target_token,
        "forward", cost->flops_forward, "training", cost->flops_training, "bytes", "weights",
        cost->weight_bytes, "gradient", cost->gradient_bytes, "optimizer", cost->optimizer_bytes,
        "activations", cost->activation_bytes, "cache_prompt_token", cost->cache_prompt_bytes,
        "cache_target_token", cost->cache_target_bytes);
    const machine_speed *s = r->speed;
    if (root == NULL || s == NULL) return root;
    json_object_set_new(root, "speed_estimate",
                        json_pack("{s:I, s:s, s:f, s:f, s:f}", "threads", (json_int_t)s->n_threads,
                                  "kernel", s->kernel, "flops_per_s", s->many_rows,
                                  "training_tokens_per_s",
                                  s->many_rows / cost->flops_training * tokens_of(r->work),
                                  "decoding_tokens_per_s", s->one_row / cost->flops_target_token));
    return root;
}
