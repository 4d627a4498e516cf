#include "bench/shapes.h"

#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"

/* Sequences of one length: n_prompt given tokens, n_target learnt ones. */
static rt_status fill_batch(bench_shape *s, size_t n_seqs, size_t n_prompt, size_t n_target,
                            rt_error *err)
{
    size_t n_each = n_prompt + n_target;
    rng_key key = rng_key_make(1, "bench", (rt_id){0}, 0);
    s->ids = rt_calloc(n_seqs * n_each, sizeof *s->ids);
    s->seqs = rt_calloc(n_seqs, sizeof *s->seqs);
    if (s->ids == NULL || s->seqs == NULL) return rt_fail(err, RT_NOMEM, "batch");
    for (size_t i = 0; i < n_seqs * n_each; i++)
        s->ids[i] = (uint32_t)rng_below(key, i, s->config.n_vocab);
    for (size_t i = 0; i < n_seqs; i++)
        s->seqs[i] = (packed_seq){.first = i * n_each,
                                  .n_prompt = n_prompt,
                                  .n_target = n_target,
                                  .weight = 1,
                                  .record_id = {.low = i}};
    s->batch = (packed_batch){
        .ids = s->ids, .n_tokens = n_seqs * n_each, .seqs = s->seqs, .n_seqs = n_seqs};
    return RT_OK;
}

/* The peer predicts 256 tokens from 256; a packed sequence leaves its last token unread, so it gets
 * one more. */
static rt_status llama_small(bench_shape *s, rt_error *err)
{
    enum { SEQS = 8, LENGTH = 256 };
    s->config = (model_config){.arch = MODEL_ARCH_LLAMA,
                               .n_vocab = 8000,
                               .d_model = 384,
                               .n_layers = 6,
                               .n_heads = 6,
                               .n_kv_heads = 6,
                               .d_head = 64,
                               .d_ff = 1024,
                               .seq_len_max = 512,
                               .rope_theta = 10000,
                               .norm_eps = 1e-6f,
                               .eos_id = 7999}; /* decoding is not to end early */
    const model_config *c = &s->config;
    double d = (double)c->d_model, inner = (double)(c->n_heads * c->d_head), ff = (double)c->d_ff;
    double n = SEQS * LENGTH, layers = (double)c->n_layers;
    double forward = n * (layers * 2 * (4 * d * inner + 3 * d * ff) + 2 * d * (double)c->n_vocab) +
                     layers * 4 * n * LENGTH * inner;
    s->gflop_step = 3e-9 * forward;
    s->n_tokens_counted = SEQS * LENGTH;
    return fill_batch(s, SEQS, 1, LENGTH, err);
}

/* T5 v1.1: an encoder-decoder reads the prompt and predicts every target token. */
static rt_status t5(bench_shape *s, size_t d_model, size_t n_layers, size_t n_heads, size_t n_vocab,
                    size_t n_seqs, rt_error *err)
{
    enum { SOURCE = 128, TARGET = 64, D_HEAD = 64, D_FF = 1024 };
    s->config = (model_config){.arch = MODEL_ARCH_T5,
                               .n_vocab = n_vocab,
                               .d_model = d_model,
                               .n_layers = n_layers,
                               .n_decoder_layers = n_layers,
                               .n_heads = n_heads,
                               .n_kv_heads = n_heads,
                               .d_head = D_HEAD,
                               .d_ff = D_FF,
                               .ff_act = MODEL_FF_GATED_GELU,
                               .rel_buckets = 32,
                               .rel_distance_max = 128,
                               .seq_len_max = 512,
                               .norm_eps = 1e-6f,
                               .eos_id = (uint32_t)n_vocab - 1};
    double d = (double)d_model, inner = (double)(n_heads * D_HEAD), layers = (double)n_layers;
    double n = (double)n_seqs, ff = 3 * d * D_FF;
    double encoder =
        n * SOURCE * layers * 2 * (4 * d * inner + ff) + layers * 4 * n * SOURCE * SOURCE * inner;
    double decoder =
        n * TARGET * layers * 2 * (6 * d * inner + ff) + n * SOURCE * layers * 4 * d * inner +
        layers * 4 * n * TARGET * (TARGET + SOURCE) * inner + 2 * n * TARGET * d * (double)n_vocab;
    s->gflop_step = 3e-9 * (encoder + decoder);
    s->n_tokens_counted = n_seqs * (SOURCE + TARGET);
    return fill_batch(s, n_seqs, SOURCE, TARGET, err);
}

rt_status bench_shape_get(char name, bench_shape *out, rt_error *err)
{
    bench_shape s = {0};
    rt_status st;
    switch (name) {
    case 'a': st = t5(&s, 256, 6, 4, 8000, 16, err); break;
    case 'c': st = t5(&s, 512, 8, 6, 32128, 8, err); break;
    case 'b': st = llama_small(&s, err); break;
    default: return rt_fail(err, RT_INVALID, "no shape is called '%c': expected a, b or c", name);
    }
    if (st == RT_OK) {
        *out = s;
        return RT_OK;
    }
    bench_shape_free(&s);
    return st;
}

void bench_shape_free(bench_shape *shape)
{
    free(shape->ids);
    free(shape->seqs);
    *shape = (bench_shape){0};
}
