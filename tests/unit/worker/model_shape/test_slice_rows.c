#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/nn/optim/adamw.h"
#include "worker/model_shape/slice_rows.h"

#define N_VOCAB 70

static param_table build(bool tied)
{
    model_config shape = {.arch = MODEL_ARCH_LLAMA,
                          .n_vocab = N_VOCAB,
                          .d_model = 8,
                          .n_layers = 2,
                          .n_heads = 2,
                          .n_kv_heads = 1,
                          .d_head = 4,
                          .d_ff = 12,
                          .seq_len_max = 64,
                          .rope_theta = 10000,
                          .norm_eps = 1e-5f,
                          .tied = tied,
                          .bos_id = 1,
                          .eos_id = 2,
                          .pad_id = 3};
    param_table table = {0};
    cr_assert_eq(param_table_build(&shape, &table, NULL), RT_OK);
    return table;
}

/* A gradient that is 0 in the embedding but for these rows; with negative zeros among them. */
static float *gradient_of(const param_table *table, const uint32_t *ids, size_t n, float scale)
{
    const param *embed = &table->params[param_table_input_only(table)];
    float *flat = calloc(table->n_total, sizeof *flat);
    for (size_t i = 0; i < table->n_total; i++)
        if (i < embed->offset || i >= embed->offset + embed->n) flat[i] = scale * (float)(i % 91);
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < embed->shape[1]; j++)
            flat[embed->offset + ids[k] * embed->shape[1] + j] =
                j % 3 == 0 ? -0.0f : scale * (float)(ids[k] + j + 1);
    return flat;
}

static wire_rows rows_of(const param_table *table, uint32_t *ids, size_t n)
{
    return (wire_rows){
        .param = (uint32_t)param_table_input_only(table), .ids = ids, .n = n, .present = true};
}

static const uint32_t none[1] = {0}, ends[] = {0, N_VOCAB - 1}, some[] = {1, 2, 7, 40, 41, 69},
                      first[] = {0, 1, 2}, last[] = {68, 69};
static const struct {
    const uint32_t *ids;
    size_t n;
} cases[] = {{none, 0}, {ends, 2}, {some, 6}, {first, 3}, {last, 2}};

/* For every cut into shards: what travelled as rows, spread and added, is what travelled whole. */
Test(slice_rows, spread_and_added_they_are_the_whole_gradient_bit_for_bit)
{
    param_table table = build(false);
    int i_embed = param_table_input_only(&table);
    cr_assert_geq(i_embed, 0);
    for (uint32_t n_shards = 1; n_shards <= 3; n_shards++)
        for (uint32_t shard = 0; shard < n_shards; shard++)
            for (size_t a = 0; a < RT_COUNT(cases); a++)
                for (size_t b = 0; b < RT_COUNT(cases); b++) {
                    param_slice slice = {0};
                    cr_assert_eq(param_slice_build(&table, shard, n_shards, &slice, NULL), RT_OK);
                    float *sum = calloc(slice.n_floats, sizeof *sum);
                    float *packed = calloc(slice.n_floats, sizeof *packed);
                    float *wanted = calloc(slice.n_floats, sizeof *wanted);
                    float *whole = calloc(slice.n_floats, sizeof *whole);
                    size_t at_embed = SIZE_MAX;
                    for (size_t i = 0; i < slice.n_params; i++)
                        if ((int)slice.params[i] == i_embed) at_embed = slice.offsets[i];
                    for (int k = 0; k < 2; k++) {
                        size_t c = k == 0 ? a : b;
                        float *flat =
                            gradient_of(&table, cases[c].ids, cases[c].n, (float)k - 0.4f);
                        wire_rows rows =
                            rows_of(&table, (uint32_t *)(uintptr_t)cases[c].ids, cases[c].n);
                        slice_rows part = slice_rows_all(slice.n_floats);
                        if (at_embed != SIZE_MAX)
                            cr_assert_eq(slice_rows_of(&slice, &table, &rows, &part, NULL), RT_OK);
                        slice_rows_gather(&part, &slice, &table, flat, k == 0 ? sum : packed);
                        param_slice_gather(&slice, &table, flat, k == 0 ? wanted : whole);
                        if (k == 0)
                            slice_rows_spread(&part, sum);
                        else
                            slice_rows_add(&part, packed, sum);
                        free(flat);
                    }
                    grad_add(wanted, whole, slice.n_floats);
                    if (at_embed != SIZE_MAX) {
                        slice_rows_unsign(sum + at_embed, table.params[i_embed].n);
                        slice_rows_unsign(wanted + at_embed, table.params[i_embed].n);
                    }
                    cr_expect(memcmp(sum, wanted, slice.n_floats * sizeof *sum) == 0,
                              "shard %u of %u, rows %zu and %zu", shard, n_shards, a, b);
                    free(sum);
                    free(packed);
                    free(wanted);
                    free(whole);
                    param_slice_free(&slice);
                }
    param_table_free(&table);
}

Test(slice_rows, negative_zeros_lose_their_sign_and_nothing_else_changes)
{
    float x[] = {-0.0f, 0.0f, -1e-45f, 1.5f, -2.5f, INFINITY};
    const float wanted[] = {0.0f, 0.0f, -1e-45f, 1.5f, -2.5f, INFINITY};
    slice_rows_unsign(x, RT_COUNT(x));
    cr_expect(memcmp(x, wanted, sizeof x) == 0);
}

Test(slice_rows, what_travels_is_as_long_as_it_says)
{
    param_table table = build(false);
    param_slice slice = {0};
    slice_rows part;
    uint32_t ids[] = {3, 9};
    wire_rows rows = rows_of(&table, ids, 2), absent = {0};
    cr_assert_eq(param_slice_build(&table, 0, 1, &slice, NULL), RT_OK);
    cr_assert_eq(slice_rows_of(&slice, &table, &rows, &part, NULL), RT_OK);
    cr_expect_eq(slice_rows_packed(&part), slice.n_floats - (N_VOCAB - 2) * 8);
    cr_assert_eq(slice_rows_of(&slice, &table, &absent, &part, NULL), RT_OK);
    cr_expect_eq(slice_rows_packed(&part), slice.n_floats);
    param_slice_free(&slice);
    param_table_free(&table);
}

Test(slice_rows, refuses_rows_of_what_does_not_travel_in_rows)
{
    param_table table = build(false), tied = build(true);
    param_slice slice = {0}, other = {0}, all = {0};
    slice_rows part;
    rt_error err = {0};
    uint32_t ids[] = {3, N_VOCAB};
    cr_assert_eq(param_slice_build(&table, 0, 1, &slice, NULL), RT_OK);
    wire_rows rows = rows_of(&table, ids, 2);
    cr_expect_eq(slice_rows_of(&slice, &table, &rows, &part, &err), RT_INVALID);
    cr_expect(strstr(err.text, "expected below 70") != NULL, "%s", err.text);
    rows.n = 1;
    rows.param = 1;
    cr_expect_eq(slice_rows_of(&slice, &table, &rows, &part, &err), RT_INVALID);
    cr_expect(strstr(err.text, "it travels whole") != NULL, "%s", err.text);
    rows.param = UINT32_MAX;
    cr_expect_eq(slice_rows_of(&slice, &table, &rows, &part, &err), RT_INVALID);
    rows.param = 0;
    for (uint32_t shard = 0; shard < 2; shard++) { /* one of the two does not hold it */
        cr_assert_eq(param_slice_build(&table, shard, 2, &other, NULL), RT_OK);
        bool holds = other.n_params > 0 && other.params[0] == 0;
        cr_expect_eq(slice_rows_of(&other, &table, &rows, &part, &err), holds ? RT_OK : RT_INVALID);
        param_slice_free(&other);
    }
    cr_expect_eq(param_table_input_only(&tied), -1);
    cr_assert_eq(param_slice_build(&tied, 0, 1, &all, NULL), RT_OK);
    cr_expect_eq(slice_rows_of(&all, &tied, &rows, &part, &err), RT_INVALID);
    param_slice_free(&slice);
    param_slice_free(&all);
    param_table_free(&table);
    param_table_free(&tied);
}
