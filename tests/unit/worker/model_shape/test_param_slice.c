#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/model_shape/param_slice.h"

static param_table build(bool tied)
{
    model_config shape = {.arch = MODEL_ARCH_LLAMA,
                          .n_vocab = 64,
                          .d_model = 32,
                          .n_layers = 4,
                          .n_heads = 4,
                          .n_kv_heads = 2,
                          .d_head = 8,
                          .d_ff = 80,
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

Test(param_slice, every_parameter_has_one_owner_and_aliases_none)
{
    for (int tied = 0; tied < 2; tied++) {
        param_table table = build(tied != 0);
        for (uint32_t n_shards = 1; n_shards <= 50; n_shards++) {
            int *owners = calloc(table.n_params, sizeof *owners);
            size_t n_floats = 0;
            for (uint32_t shard = 0; shard < n_shards; shard++) {
                param_slice slice = {0};
                cr_assert_eq(param_slice_build(&table, shard, n_shards, &slice, NULL), RT_OK);
                for (size_t i = 0; i < slice.n_params; i++) {
                    owners[slice.params[i]]++;
                    cr_expect(i == 0 || slice.params[i] > slice.params[i - 1], "table order");
                }
                n_floats += slice.n_floats;
                param_slice_free(&slice);
            }
            for (size_t i = 0; i < table.n_params; i++)
                cr_expect_eq(owners[i], table.params[i].alias_of < 0 ? 1 : 0, "%s of %u shards",
                             table.params[i].name, n_shards);
            cr_expect_eq(n_floats, table.n_total);
            free(owners);
        }
        param_table_free(&table);
    }
}

Test(param_slice, shards_are_alike_in_size)
{
    param_table table = build(true);
    size_t largest = 0;
    for (size_t i = 0; i < table.n_params; i++) largest = RT_MAX(largest, table.params[i].n);
    for (uint32_t n_shards = 2; n_shards <= 6; n_shards++) {
        size_t least = SIZE_MAX, most = 0;
        for (uint32_t shard = 0; shard < n_shards; shard++) {
            param_slice slice = {0};
            cr_assert_eq(param_slice_build(&table, shard, n_shards, &slice, NULL), RT_OK);
            least = RT_MIN(least, slice.n_floats);
            most = RT_MAX(most, slice.n_floats);
            param_slice_free(&slice);
        }
        cr_expect_leq(most - least, largest, "%u shards: %zu to %zu", n_shards, least, most);
    }
    param_table_free(&table);
}

Test(param_slice, gather_and_scatter_are_inverse)
{
    param_table table = build(false);
    float *flat = calloc(table.n_total, sizeof *flat), *back = calloc(table.n_total, sizeof *back);
    for (size_t i = 0; i < table.n_total; i++) flat[i] = (float)i;
    for (uint32_t shard = 0; shard < 3; shard++) {
        param_slice slice = {0};
        cr_assert_eq(param_slice_build(&table, shard, 3, &slice, NULL), RT_OK);
        float *floats = calloc(slice.n_floats, sizeof *floats);
        param_slice_gather(&slice, &table, flat, floats);
        param_slice_scatter(&slice, &table, floats, back);
        free(floats);
        param_slice_free(&slice);
    }
    cr_expect_eq(memcmp(flat, back, table.n_total * sizeof *flat), 0);
    free(flat);
    free(back);
    param_table_free(&table);
}

Test(param_slice, parts_of_any_size_at_any_address_add_up_to_the_whole)
{
    static const size_t sizes[] = {1, 7, 32, 1000, 100000};
    param_table table = build(true);
    param_slice slice = {0};
    cr_assert_eq(param_slice_build(&table, 1, 2, &slice, NULL), RT_OK);
    float *floats = calloc(slice.n_floats, sizeof *floats);
    float *whole = calloc(table.n_total, sizeof *whole);
    char *unaligned = malloc(slice.n_floats * sizeof *floats + 1);
    for (size_t i = 0; i < slice.n_floats; i++) floats[i] = (float)(i + 1);
    memcpy(unaligned + 1, floats, slice.n_floats * sizeof *floats);
    param_slice_scatter(&slice, &table, floats, whole);
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        float *flat = calloc(table.n_total, sizeof *flat);
        for (size_t at = 0, n; at < slice.n_floats; at += n) {
            n = RT_MIN(sizes[i], slice.n_floats - at);
            param_slice_scatter_part(&slice, &table, at, n, unaligned + 1 + at * sizeof *floats,
                                     flat);
        }
        cr_expect_eq(memcmp(flat, whole, table.n_total * sizeof *flat), 0, "parts of %zu",
                     sizes[i]);
        free(flat);
    }
    free(floats);
    free(whole);
    free(unaligned);
    param_slice_free(&slice);
    param_table_free(&table);
}

Test(param_slice, refuses_a_shard_that_cannot_be)
{
    param_table table = build(true);
    param_slice slice = {0};
    rt_error err = {0};
    cr_expect_eq(param_slice_build(&table, 2, 2, &slice, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "shard 2 of 2"));
    cr_expect_eq(param_slice_build(&table, 0, 0, &slice, NULL), RT_INVALID);
    cr_expect_eq(param_slice_build(&table, 0, PARAM_SHARDS_MAX + 1, &slice, NULL), RT_INVALID);
    cr_expect_null(slice.params, "nothing is written");
    param_table_free(&table);
}
