/* Every operation: its values against plain loops or hand-computed numbers, and its gradient
 * against central differences of its own forward pass. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/ops/ops.h"
#include "common/nn/parallel.h"
#include "common/nn/vec.h"
#include "common/nn/vec_gated.h"

typedef enum kind {
    EMBED,
    GATHER,
    LINEAR,
    NORM,
    ROPE,
    ATTENTION,
    SWIGLU,
    ADD,
    DROPOUT,
    GATED_GELU,
    RELU,
    SCALE,
    ADD_NORM,
} kind;

static const char *const names[] = {"embed",     "gather", "linear",  "norm",    "rope",
                                    "attention", "swiglu", "add",     "dropout", "gated gelu",
                                    "relu",      "scale",  "add norm"};

/* n rows; d columns, or heads for those that have them. */
typedef struct op_case {
    kind op;
    size_t n, d, d_out;
    size_t n_heads, n_kv, d_head;
    size_t cut; /* rows of the first of two spans; 0: one span */
} op_case;

/* The two inputs of an operation (the second may be empty) and everything that stays fixed. */
typedef struct op_inputs {
    const op_case *c;
    size_t rows[2], cols[2];
    float *x[2], *copy[2], *grads[2];
    float *r; /* weights of the outputs in the loss */
    size_t n_out;
    uint32_t *index;
    float *angles;
    row_span spans[2];
    rng_key keys[2];
    size_t n_spans;
    tape *t;
} op_inputs;

static void set_shapes(op_inputs *in)
{
    const op_case *c = in->c;
    head_shape shape = {c->n_heads, c->n_kv, c->d_head};
    bool heads = c->op == ROPE || c->op == ATTENTION;
    in->rows[0] = c->n;
    in->cols[0] = heads                                    ? head_shape_cols(shape)
                  : c->op == SWIGLU || c->op == GATED_GELU ? 2 * c->d
                                                           : c->d;
    if (c->op == LINEAR) in->rows[1] = c->d_out, in->cols[1] = c->d;
    if (c->op == NORM) in->rows[1] = 1, in->cols[1] = c->d;
    if (c->op == ADD || c->op == ADD_NORM) in->rows[1] = c->n, in->cols[1] = c->d;
}

static op_inputs inputs_new(const op_case *c)
{
    op_inputs in = {.c = c};
    rng_key key = rng_key_make(c->n * 100 + c->d, names[c->op], (rt_id){0}, 0);
    uint64_t draw = 0;
    set_shapes(&in);
    for (size_t k = 0; k < 2; k++) {
        size_t n = in.rows[k] * in.cols[k];
        in.x[k] = rt_calloc(n, sizeof(float));
        in.copy[k] = rt_calloc(n, sizeof(float));
        in.grads[k] = rt_calloc(n, sizeof(float));
        for (size_t i = 0; i < n; i++) in.x[k][i] = rng_normal(key, draw++);
    }
    in.r = rt_calloc(4096, sizeof(float));
    for (size_t i = 0; i < 4096; i++) in.r[i] = rng_normal(key, draw++);
    in.index = rt_calloc(c->n, sizeof(uint32_t));
    /* Embedding repeats rows, gathering does not; positions restart with each span. */
    for (size_t i = 0; i < c->n; i++)
        in.index[i] = (uint32_t)(c->op == EMBED    ? i * i % c->n
                                 : c->op == GATHER ? c->n - 1 - i
                                                   : i + 3 - (i >= c->cut ? c->cut : 0));
    in.angles = rt_calloc((c->n + 3) * RT_MAX(c->d_head, 2), sizeof(float));
    if (c->d_head > 0) rope_angles(c->n + 3, c->d_head, 100, in.angles);
    in.n_spans = c->cut > 0 ? 2 : 1;
    in.spans[0] = (row_span){0, c->cut > 0 ? c->cut : c->n};
    in.spans[1] = (row_span){c->cut, c->n - c->cut};
    for (size_t k = 0; k < 2; k++) in.keys[k] = rng_key_make(k, "dropout", (rt_id){0}, 0);
    cr_assert_eq(tape_new(&in.t, NULL), RT_OK);
    return in;
}

static void inputs_free(op_inputs *in)
{
    for (size_t k = 0; k < 2; k++) {
        free(in->x[k]);
        free(in->copy[k]);
        free(in->grads[k]);
    }
    free(in->r);
    free(in->index);
    free(in->angles);
    tape_free(in->t);
}

/* Both results of the operation, added up. */
static tensor *sum_and_norm(op_inputs *in, tensor *x, tensor *branch)
{
    tensor *gain = tape_param(in->t, in->r, NULL, 1, in->c->d), *sum = NULL;
    tensor *h = op_add_rms_norm(in->t, x, branch, gain, 1e-5f, &sum);
    return op_add(in->t, sum, h);
}

/* Run forward on copies, since some operations work in place. */
static tensor *run(op_inputs *in, bool record)
{
    const op_case *c = in->c;
    head_shape shape = {c->n_heads, c->n_kv, c->d_head};
    tensor *x[2];
    parallel_enter();
    tape_begin(in->t, record);
    for (size_t k = 0; k < 2; k++) {
        memcpy(in->copy[k], in->x[k], in->rows[k] * in->cols[k] * sizeof(float));
        x[k] = tape_param(in->t, in->copy[k], in->grads[k], in->rows[k], in->cols[k]);
    }
    switch (c->op) {
    case EMBED: return op_embed(in->t, x[0], in->index, c->n);
    case GATHER: return op_gather_rows(in->t, x[0], in->index, (c->n + 1) / 2);
    case LINEAR: return op_linear(in->t, x[0], x[1]);
    case NORM: return op_rms_norm(in->t, x[0], x[1], 1e-5f);
    case ROPE: return op_rope(in->t, x[0], shape, in->angles, in->index);
    case ATTENTION: return op_attention(in->t, x[0], shape, in->spans, in->n_spans);
    case SWIGLU: return op_swiglu(in->t, x[0]);
    case GATED_GELU: return op_gated_gelu(in->t, x[0]);
    case RELU: return op_relu(in->t, x[0]);
    case SCALE: return op_scale(in->t, x[0], -0.7f);
    case ADD: return op_add(in->t, x[0], x[1]);
    case ADD_NORM: return sum_and_norm(in, x[0], x[1]);
    case DROPOUT: return op_dropout(in->t, x[0], 0.3f, 7, in->spans, in->keys, in->n_spans);
    }
    return NULL;
}

static double loss_at(op_inputs *in)
{
    tensor *y = run(in, false);
    cr_assert_not_null(y);
    double loss = 0;
    in->n_out = y->n_rows * y->n_cols;
    for (size_t i = 0; i < in->n_out; i++) loss += (double)y->data[i] * in->r[i % 4096];
    return loss;
}

static void analytic(op_inputs *in)
{
    tensor *y = run(in, true);
    cr_assert_not_null(y);
    size_t n = y->n_rows * y->n_cols;
    float *d_y = tape_alloc(in->t, n, sizeof *d_y);
    for (size_t i = 0; i < n; i++) d_y[i] = in->r[i % 4096];
    tape_inject(in->t, y, d_y);
    cr_assert_eq(tape_backward(in->t, NULL), RT_OK);
}

ParameterizedTestParameters(ops, gradient_matches_central_difference)
{
    static op_case cases[] = {
        {EMBED, 1, 3},
        {EMBED, 9, 5},
        {GATHER, 1, 4},
        {GATHER, 8, 3},
        {LINEAR, 1, 1, 1},
        {LINEAR, 7, 5, 3},
        {LINEAR, 130, 3, 17},
        {NORM, 1, 1},
        {NORM, 3, 33},
        {NORM, 150, 2},
        {ROPE, 1, 0, 0, 1, 1, 2},
        {ROPE, 6, 0, 0, 4, 2, 6, 2},
        {ATTENTION, 1, 0, 0, 1, 1, 2},
        {ATTENTION, 9, 0, 0, 1, 1, 4},
        {ATTENTION, 9, 0, 0, 4, 2, 3, 1},
        {ATTENTION, 12, 0, 0, 6, 1, 2, 7},
        {ATTENTION, 67, 0, 0, 2, 1, 2},
        {ATTENTION, 70, 0, 0, 1, 1, 2, 66},
        {SWIGLU, 1, 1},
        {SWIGLU, 5, 19},
        {GATED_GELU, 1, 1},
        {GATED_GELU, 5, 19},
        {GATED_GELU, 70, 16},
        {RELU, 1, 2},
        {RELU, 4, 7},
        {SCALE, 3, 5},
        {ADD, 4, 7},
        {ADD_NORM, 1, 5},
        {ADD_NORM, 140, 9},
        {DROPOUT, 6, 11, 0, 0, 0, 0, 2},
    };
    return cr_make_param_array(op_case, cases, RT_COUNT(cases));
}
ParameterizedTest(op_case *c, ops, gradient_matches_central_difference)
{
    op_inputs in = inputs_new(c);
    const float h = 4e-3f;
    analytic(&in);
    for (size_t k = 0; k < 2; k++) {
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
        cr_expect_leq(worst, 1e-3 * size + 2e-4, "%s n=%zu: input %zu off by %g of %g",
                      names[c->op], c->n, k, worst, size);
    }
    inputs_free(&in);
}

/* Gradients that reach a tensor twice add up, whichever operation comes first. */
Test(ops, gradients_of_two_readers_add_up)
{
    op_case c = {ADD, 3, 4};
    op_inputs in = inputs_new(&c);
    tape_begin(in.t, true);
    tensor *x = tape_param(in.t, in.x[0], in.grads[0], 3, 4);
    tensor *y = op_add(in.t, x, x), *z = op_add(in.t, y, x);
    tape_inject(in.t, z, in.r);
    tape_inject(in.t, y, in.r); /* a loss on a layer in the middle */
    cr_assert_eq(tape_backward(in.t, NULL), RT_OK);
    for (size_t i = 0; i < 12; i++) cr_expect_float_eq(in.grads[0][i], 5 * in.r[i], 1e-5);
    inputs_free(&in);
}

Test(ops, frozen_inputs_take_no_gradient)
{
    op_case c = {LINEAR, 3, 4, 2};
    op_inputs in = inputs_new(&c);
    tape_begin(in.t, true);
    tensor *x = tape_param(in.t, in.x[0], in.grads[0], 3, 4);
    tensor *w = tape_param(in.t, in.x[1], NULL, 2, 4);
    tensor *y = op_linear(in.t, x, w);
    tape_inject(in.t, y, in.r);
    cr_assert_eq(tape_backward(in.t, NULL), RT_OK);
    cr_expect_null(w->grad);
    cr_expect_neq(in.grads[0][0], 0);
    inputs_free(&in);
}

/* What a forward pass gives back to save memory comes again to the last bit. */
static void expect_made_again(tape *t, tensor *y)
{
    size_t n = y->n_rows * y->n_cols * (y->is_half ? sizeof *y->half : sizeof *y->data);
    size_t n_padded = n / y->n_rows * tape_padded_rows(y->n_rows);
    void *before = rt_calloc(n, 1);
    memcpy(before, y->is_half ? (void *)y->half : y->data, n);
    tape_forget(t, y);
    cr_assert(tape_forgotten(y));
    void *taken = tape_take(t, n_padded);
    memset(taken, 0xff, n_padded);
    tape_recall(t, y);
    void *again = y->is_half ? (void *)y->half : y->data;
    cr_assert_neq(again, taken);
    cr_expect_eq(memcmp(again, before, n), 0);
    cr_expect(!y->is_half || y->high == y->half, "products read what was made again");
    for (size_t i = n; y->is_half && i < n_padded; i++) cr_expect_eq(((char *)again)[i], 0);
    free(before);
}

Test(ops, forgotten_values_are_made_again)
{
    op_case cases[] = {{NORM, 70, 9}, {SWIGLU, 70, 6}, {GATED_GELU, 3, 40}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        op_inputs in = inputs_new(&cases[i]);
        expect_made_again(in.t, run(&in, true));
        inputs_free(&in);
    }
}

Test(ops, forgotten_halves_are_made_again)
{
    size_t n = 70, d = 24;
    tape *t = NULL;
    float *values = rt_calloc(n * d, sizeof *values), *gains = rt_calloc(d, sizeof *gains);
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    tape_begin(t, true);
    tape_set_compute(t, COMPUTE_BF16);
    for (size_t i = 0; i < n * d; i++) values[i] = (float)(i % 37) * 0.05f - 0.9f;
    for (size_t i = 0; i < d; i++) gains[i] = 1.0f + 0.01f * (float)i;
    tensor *x = tape_param(t, values, NULL, n, d), *gain = tape_param(t, gains, NULL, 1, d);
    tensor *h = op_rms_norm_activation(t, x, gain, 1e-6f);
    tensor *wide = tape_activation(t, n, d);
    cr_assert(h != NULL && wide != NULL && h->is_half && wide->is_half);
    bf16_from_f32(values, n * d, wide->half);
    expect_made_again(t, h);
    expect_made_again(t, op_swiglu(t, wide));
    expect_made_again(t, op_gated_gelu(t, wide));
    tape_free(t);
    free(values);
    free(gains);
}

static void expect_close(const float *a, const float *b, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_leq(fabs((double)a[i] - b[i]), tolerance * (1 + fabs((double)b[i])),
                      "element %zu is %g, expected %g", i, (double)a[i], (double)b[i]);
}

static void causal_reference(const op_inputs *in, head_shape shape, float *y)
{
    tensor qkv = {.data = in->x[0], .n_rows = in->rows[0], .n_cols = in->cols[0]};
    attention_spec spec = attention_spec_fused(shape, in->spans, in->n_spans);
    spec.causal = true;
    spec.scale = 1.0f / sqrtf((float)shape.d_head);
    attention_reference(&qkv, &qkv, &spec, y);
}

Test(ops, fast_paths_agree_with_the_reference_loops)
{
    op_case cases[] = {{NORM, 9, 37},
                       {SWIGLU, 9, 37},
                       {GATED_GELU, 9, 37},
                       {ATTENTION, 1, 0, 0, 1, 1, 8},
                       {ATTENTION, 40, 0, 0, 4, 2, 24, 13},
                       {ATTENTION, 300, 0, 0, 3, 3, 32, 137}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        op_inputs in = inputs_new(&cases[i]);
        tensor *y = run(&in, false);
        cr_assert_not_null(y);
        size_t n = y->n_rows * y->n_cols;
        float *wanted = rt_calloc(n, sizeof *wanted);
        head_shape shape = {cases[i].n_heads, cases[i].n_kv, cases[i].d_head};
        if (cases[i].op == NORM)
            rms_norm_reference(in.x[0], in.x[1], 1e-5f, y->n_rows, y->n_cols, wanted);
        else if (cases[i].op == SWIGLU)
            swiglu_reference(in.x[0], y->n_rows, y->n_cols, wanted);
        else if (cases[i].op == GATED_GELU)
            gated_gelu_reference(in.x[0], y->n_rows, y->n_cols, wanted);
        else
            causal_reference(&in, shape, wanted);
        expect_close(y->data, wanted, n, 1e-5);
        free(wanted);
        inputs_free(&in);
    }
}

Test(ops, gated_gelu_of_one_is_known)
{
    float x[] = {1, -3, 0, 2, 2, 5}, y[3];
    vec_gated_gelu(x, x + 3, y, 3); /* gelu_new(1) = 0.8411920, gelu_new(-3) = -0.0036374 */
    cr_expect_float_eq(y[0], 2 * 0.8411920, 1e-6);
    cr_expect_float_eq(y[1], 2 * -0.0036374, 1e-6);
    cr_expect_eq(y[2], 0);
    float far[] = {-1e30f, 1e30f, 1, 1};
    vec_gated_gelu(far, far + 2, y, 2);
    cr_expect(y[0] == 0 && y[1] == 1e30f);
}

Test(ops, norm_of_three_and_four_is_known)
{
    float x[] = {3, 4}, gain[] = {1, 2}, y[2];
    rms_norm_row(x, gain, 0, 2, y); /* rms = sqrt(12.5) */
    cr_expect_float_eq(y[0], 3 / sqrt(12.5), 1e-6);
    cr_expect_float_eq(y[1], 8 / sqrt(12.5), 1e-6);
}

Test(ops, rotation_by_a_quarter_turn_is_known)
{
    float angles[] = {0, 1}, row[] = {2, 5}; /* cos 0, sin 1 */
    rope_row(row, 1, 2, angles, 1);
    cr_expect(row[0] == -5 && row[1] == 2);
    rope_row(row, 1, 2, angles, -1);
    cr_expect(row[0] == 2 && row[1] == 5);
}

Test(ops, attention_over_equal_keys_is_the_mean_of_the_values_so_far)
{
    float qkv[] = {1, 0, 0, 0, 2, 10, 7, 7, 0, 0, 4, 20, -3, 1, 0, 0, 6, 60};
    row_span span = {0, 3};
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    parallel_enter();
    tape_begin(t, false);
    tensor *x = tape_param(t, qkv, NULL, 3, 6);
    tensor *y = op_attention(t, x, (head_shape){1, 1, 2}, &span, 1);
    float wanted[] = {2, 10, 3, 15, 4, 30};
    expect_close(y->data, wanted, 6, 1e-6);
    tape_free(t);
}

Test(ops, dropout_keeps_its_share_and_the_mean_and_differs_by_site)
{
    op_case c = {DROPOUT, 200, 50, 0, 0, 0, 0, 80};
    op_inputs in = inputs_new(&c);
    for (size_t i = 0; i < 200 * 50; i++) in.x[0][i] = 1;
    tensor *y = run(&in, false);
    double sum = 0, n_zero = 0;
    for (size_t i = 0; i < 10000; i++) {
        sum += (double)y->data[i];
        n_zero += y->data[i] == 0;
    }
    cr_expect_float_eq(n_zero / 10000, 0.3, 0.02);
    cr_expect_float_eq(sum / 10000, 1, 0.03);
    float *other = rt_calloc(10000, sizeof *other);
    for (size_t i = 0; i < 10000; i++) other[i] = 1;
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    tape_begin(t, false);
    op_dropout(t, tape_param(t, other, NULL, 200, 50), 0.3f, 8, in.spans, in.keys, 2);
    cr_expect_neq(memcmp(other, y->data, 10000 * sizeof *other), 0);
    free(other);
    tape_free(t);
    inputs_free(&in);
}

Test(ops, given_nothing_they_return_nothing)
{
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    tape_begin(t, true);
    cr_expect_null(tape_tensor(t, (size_t)1 << 40, (size_t)1 << 40));
    rt_error err = {0};
    cr_expect_eq(tape_status(t, &err), RT_NOMEM);
    cr_expect_null(tape_tensor(t, 1, 1), "the tape remembers");
    cr_expect_null(op_rms_norm(t, NULL, NULL, 1));
    cr_expect_null(op_linear(t, NULL, NULL));
    cr_expect_null(op_add(t, NULL, NULL));
    cr_expect_null(op_swiglu(t, NULL));
    cr_expect_null(op_gated_gelu(t, NULL));
    cr_expect_null(op_relu(t, NULL));
    cr_expect_null(op_scale(t, NULL, 2));
    tape_begin(t, true);
    cr_expect_eq(tape_status(t, &err), RT_OK);
    tape_free(t);
}
