/* Attention as an encoder-decoder has it: biases of relative positions, queries of one token axis
 * over keys of another. Values against the plain loop, gradients against central differences. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/ops/rel_bias.h"
#include "common/nn/parallel.h"

#define SPANS_MAX 3

typedef enum kind { ENCODER, DECODER, CROSS } kind;
static const char *const names[] = {"encoder", "decoder", "cross"};

/* Spans of queries, and of keys for CROSS. */
typedef struct attention_case {
    kind which;
    size_t n_heads, n_kv, d_head;
    size_t n_spans;
    size_t queries[SPANS_MAX], keys[SPANS_MAX];
} attention_case;

/* Inputs: q (or the fused matrix), kv, the table of biases. Empty ones have no rows. */
typedef struct attention_inputs {
    const attention_case *c;
    size_t rows[3], cols[3];
    float *x[3], *grads[3];
    float *r; /* weights of the outputs in the loss */
    row_span q_spans[SPANS_MAX], kv_spans[SPANS_MAX];
    tape *t;
} attention_inputs;

static size_t place_spans(const size_t *lengths, size_t n, row_span *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (row_span){.first = at, .n = lengths[i]};
        at += lengths[i];
    }
    return at;
}

static attention_inputs inputs_new(const attention_case *c)
{
    attention_inputs in = {.c = c};
    rng_key key = rng_key_make(c->queries[0] * 10 + c->n_heads, names[c->which], (rt_id){0}, 0);
    uint64_t draw = 0;
    bool cross = c->which == CROSS;
    in.rows[0] = place_spans(c->queries, c->n_spans, in.q_spans);
    in.rows[1] = cross ? place_spans(c->keys, c->n_spans, in.kv_spans) : 0;
    in.cols[0] = (c->n_heads + (cross ? 0 : 2 * c->n_kv)) * c->d_head;
    in.cols[1] = 2 * c->n_kv * c->d_head;
    in.rows[2] = cross ? 0 : 8; /* buckets */
    in.cols[2] = c->n_heads;
    for (size_t k = 0; k < 3; k++) {
        size_t n = in.rows[k] * in.cols[k];
        in.x[k] = rt_calloc(n, sizeof(float));
        in.grads[k] = rt_calloc(n, sizeof(float));
        for (size_t i = 0; i < n; i++) in.x[k][i] = 0.7f * rng_normal(key, draw++);
    }
    in.r = rt_calloc(in.rows[0] * c->n_heads * c->d_head, sizeof(float));
    for (size_t i = 0; i < in.rows[0] * c->n_heads * c->d_head; i++)
        in.r[i] = rng_normal(key, draw++);
    cr_assert_eq(tape_new(&in.t, NULL), RT_OK);
    return in;
}

static void inputs_free(attention_inputs *in)
{
    for (size_t k = 0; k < 3; k++) {
        free(in->x[k]);
        free(in->grads[k]);
    }
    free(in->r);
    tape_free(in->t);
}

static attention_spec spec_of(const attention_inputs *in, rel_bias *bias)
{
    const attention_case *c = in->c;
    head_shape shape = {c->n_heads, c->n_kv, c->d_head};
    attention_spec spec = attention_spec_fused(shape, in->q_spans, c->n_spans);
    spec.causal = c->which == DECODER;
    if (c->which != CROSS) {
        bias->bidirectional = c->which == ENCODER;
        bias->distance_max = 20;
        spec.bias = bias;
        return spec;
    }
    spec.kv_spans = in->kv_spans;
    spec.k_first = 0;
    spec.v_first = c->n_kv * c->d_head;
    spec.scale = 0.4f;
    return spec;
}

static tensor *run(attention_inputs *in, bool record)
{
    tensor *x[3];
    parallel_enter();
    tape_begin(in->t, record);
    for (size_t k = 0; k < 3; k++)
        x[k] = tape_param(in->t, in->x[k], in->grads[k], in->rows[k], in->cols[k]);
    rel_bias bias = {.table = x[2]};
    attention_spec spec = spec_of(in, &bias);
    tensor *y = op_attention_over(in->t, x[0], in->c->which == CROSS ? x[1] : x[0], &spec);
    cr_assert_not_null(y);
    return y;
}

static double loss_at(attention_inputs *in)
{
    tensor *y = run(in, false);
    double loss = 0;
    for (size_t i = 0; i < y->n_rows * y->n_cols; i++) loss += (double)y->data[i] * in->r[i];
    return loss;
}

ParameterizedTestParameters(attention, gradient_matches_central_difference)
{
    static attention_case cases[] = {
        {ENCODER, 1, 1, 1, 1, {1}},
        {ENCODER, 2, 2, 3, 2, {9, 1}},
        {ENCODER, 4, 2, 2, 3, {5, 30, 2}},
        {ENCODER, 1, 1, 2, 2, {67, 3}}, /* more than one block of rows */
        {DECODER, 1, 1, 1, 1, {1}},
        {DECODER, 2, 2, 3, 2, {9, 1}},
        {DECODER, 4, 2, 2, 3, {5, 30, 2}},
        {DECODER, 1, 1, 2, 2, {3, 67}},
        {CROSS, 1, 1, 1, 1, {1}, {1}},
        {CROSS, 2, 2, 3, 2, {1, 4}, {7, 1}},
        {CROSS, 4, 2, 2, 3, {3, 1, 12}, {1, 20, 5}},
        {CROSS, 1, 1, 2, 1, {66}, {3}},
        {CROSS, 1, 1, 2, 1, {3}, {70}},
    };
    return cr_make_param_array(attention_case, cases, RT_COUNT(cases));
}
ParameterizedTest(attention_case *c, attention, gradient_matches_central_difference)
{
    attention_inputs in = inputs_new(c);
    const float h = 4e-3f;
    tape_inject(in.t, run(&in, true), in.r);
    cr_assert_eq(tape_backward(in.t, NULL), RT_OK);
    for (size_t k = 0; k < 3; k++) {
        double worst = 0, size = 0;
        for (size_t i = 0; i < in.rows[k] * in.cols[k]; i++) {
            float at = in.x[k][i];
            in.x[k][i] = at + h;
            double above = loss_at(&in), up = in.x[k][i];
            in.x[k][i] = at - h;
            double below = loss_at(&in), down = in.x[k][i];
            in.x[k][i] = at;
            double numeric = (above - below) / (up - down);
            worst = fmax(worst, fabs(numeric - in.grads[k][i]));
            size = fmax(size, fabs(numeric));
        }
        cr_expect_leq(worst, 1e-3 * size + 2e-4, "%s of %zu: input %zu off by %g of %g",
                      names[c->which], c->queries[0], k, worst, size);
    }
    inputs_free(&in);
}

ParameterizedTestParameters(attention, agrees_with_the_reference_loop)
{
    static attention_case cases[] = {
        {ENCODER, 3, 3, 32, 3, {137, 1, 300}},    {ENCODER, 4, 1, 24, 1, {64}},
        {DECODER, 3, 3, 32, 3, {137, 1, 300}},    {DECODER, 4, 1, 24, 2, {65, 128}},
        {CROSS, 3, 3, 32, 2, {200, 3}, {5, 190}}, {CROSS, 6, 2, 8, 3, {1, 64, 9}, {1, 1, 65}},
    };
    return cr_make_param_array(attention_case, cases, RT_COUNT(cases));
}
ParameterizedTest(attention_case *c, attention, agrees_with_the_reference_loop)
{
    attention_inputs in = inputs_new(c);
    tensor *y = run(&in, false);
    size_t n = y->n_rows * y->n_cols;
    float *wanted = rt_calloc(n, sizeof *wanted);
    tensor q = {.data = in.x[0], .n_rows = in.rows[0], .n_cols = in.cols[0]};
    tensor kv = {.data = in.x[1], .n_rows = in.rows[1], .n_cols = in.cols[1]};
    tensor table = {.data = in.x[2], .n_rows = in.rows[2], .n_cols = in.cols[2]};
    rel_bias bias = {.table = &table};
    attention_spec spec = spec_of(&in, &bias);
    attention_reference(&q, c->which == CROSS ? &kv : &q, &spec, wanted);
    for (size_t i = 0; i < n; i++)
        cr_assert_leq(fabs((double)y->data[i] - wanted[i]), 1e-5 * (1 + fabs((double)wanted[i])),
                      "%s: element %zu is %g, expected %g", names[c->which], i, (double)y->data[i],
                      (double)wanted[i]);
    free(wanted);
    inputs_free(&in);
}

/* Values do not depend on what else is in the batch, to the last bit. */
Test(attention, spans_do_not_see_each_other)
{
    attention_case both = {CROSS, 2, 2, 8, 2, {70, 3}, {9, 80}};
    attention_case first = {CROSS, 2, 2, 8, 1, {70}, {9}};
    attention_inputs in = inputs_new(&both);
    tensor *y = run(&in, false);
    float kept[70 * 16];
    memcpy(kept, y->data, sizeof kept);
    in.c = &first;
    in.rows[0] = 70;
    in.rows[1] = 9;
    cr_expect_eq(memcmp(kept, run(&in, false)->data, sizeof kept), 0);
    inputs_free(&in);
}

/* A bias that is huge at one distance makes attention copy the value from there. */
Test(attention, a_large_bias_copies_from_its_distance)
{
    float qkv[] = {0, 0, 1, 0, 0, 2, 0, 0, 3}, table[8] = {0};
    row_span span = {0, 3};
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    parallel_enter();
    tape_begin(t, false);
    table[rel_bucket(1, true, 8, 20)] = 50; /* the next token */
    tensor *x = tape_param(t, qkv, NULL, 3, 3);
    rel_bias bias = {
        .table = tape_param(t, table, NULL, 8, 1), .bidirectional = true, .distance_max = 20};
    attention_spec spec = attention_spec_fused((head_shape){1, 1, 1}, &span, 1);
    spec.bias = &bias;
    tensor *y = op_attention_over(t, x, x, &spec);
    cr_expect_float_eq(y->data[0], 2, 1e-6);
    cr_expect_float_eq(y->data[1], 3, 1e-6);
    cr_expect_float_eq(y->data[2], 2, 1e-6); /* nothing comes after the last: the mean */
    cr_expect_null(op_attention_over(t, NULL, x, &spec));
    bias.table = NULL;
    cr_expect_null(op_attention_over(t, x, x, &spec), "memory ran out for the table");
    tape_free(t);
}

/* First distance of each bucket, from modeling_t5.py's formula in single precision. */
static void expect_bucket_starts(bool bidirectional, const size_t *starts, size_t n)
{
    size_t bucket = 0;
    for (size_t distance = 0; distance < 1000; distance++) {
        while (bucket + 1 < n && distance >= starts[bucket + 1]) bucket++;
        cr_assert_eq(rel_bucket(-(int64_t)distance, bidirectional, 32, 128), bucket,
                     "distance %zu is in bucket %zu, expected %zu", distance,
                     rel_bucket(-(int64_t)distance, bidirectional, 32, 128), bucket);
        if (distance == 0) continue;
        cr_assert_eq(rel_bucket((int64_t)distance, bidirectional, 32, 128),
                     bidirectional ? bucket + 16 : 0);
    }
}

Test(attention, buckets_begin_where_published_models_have_them)
{
    static const size_t encoder[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
    static const size_t decoder[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                       11, 12, 13, 14, 15, 16, 19, 21, 24, 27, 31,
                                       35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
    expect_bucket_starts(true, encoder, 16);
    expect_bucket_starts(false, decoder, 32);
}
