#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"
#include "worker/param_server/shard_files.h"

static const char yaml[] = "name: t\n"
                           "seed: 7\n"
                           "corpus: {files: [a.jsonl]}\n"
                           "teacher: {files: [b.jsonl], match_field: \"{input}\"}\n"
                           "student: {d_model: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
                           "d_head: 8, d_ff: 24, seq_len_max: 32}\n";

static config *load_config(void)
{
    config *c = NULL;
    rt_error err = {0};
    cr_assert_eq(config_parse("t.yaml", yaml, sizeof yaml - 1, NULL, &c, &err), RT_OK, "%s",
                 err.text);
    return c;
}

static wire_server_order order_of(uint64_t version, const char *folder, uint32_t n_shards)
{
    return (wire_server_order){.kind = ORDER_RESTORE,
                               .generation = 1,
                               .version = version,
                               .folder = (char *)folder,
                               .n_shards = n_shards,
                               .n_vocab = 40,
                               .bos_id = 1,
                               .eos_id = 2,
                               .pad_id = 3};
}

/* All vectors of a restored run, whatever the number of shards: [3 * n_total]. */
static float *load_all(const config *c, uint64_t version, const char *folder, uint32_t n_shards,
                       size_t *n_total)
{
    float *all = NULL;
    for (uint32_t i = 0; i < n_shards; i++) {
        shard_model *held = NULL;
        rt_error err = {0};
        wire_server_order order = order_of(version, folder, n_shards);
        cr_assert_eq(shard_load(c, i, &order, &held, &err), RT_OK, "%s", err.text);
        size_t n = held->table.n_total;
        if (all == NULL) all = calloc(3 * n, sizeof *all);
        param_slice_scatter(&held->slice, &held->table, held->weights->floats, all);
        param_slice_scatter(&held->slice, &held->table, held->m, all + n);
        param_slice_scatter(&held->slice, &held->table, held->v, all + 2 * n);
        *n_total = n;
        shard_model_free(held);
    }
    return all;
}

/* Write version 9 with moments that are not zero, by n_shards, and commit it. */
static void save_all(const config *c, const char *root, uint32_t n_shards)
{
    char partial[512];
    ckpt_file files[8];
    rt_error err = {0};
    cr_assert_leq(n_shards, 4);
    cr_assert_eq(ckpt_folder(root, 9, true, partial, sizeof partial, NULL), RT_OK);
    for (uint32_t i = 0; i < n_shards; i++) {
        shard_model *held = NULL;
        wire_server_order order = order_of(0, "", n_shards);
        cr_assert_eq(shard_load(c, i, &order, &held, &err), RT_OK, "%s", err.text);
        for (size_t j = 0; j < held->slice.n_floats; j++) {
            held->m[j] = 2 * held->weights->floats[j];
            held->v[j] = 3 * held->weights->floats[j];
        }
        cr_assert_eq(shard_save(held, 9, partial, files + 2 * i, &err), RT_OK, "%s", err.text);
        shard_model_free(held);
    }
    ckpt_manifest manifest = {
        .version = 9, .n_shards = n_shards, .files = files, .n_files = 2 * n_shards};
    memset(manifest.fingerprint, 'a', 32);
    memset(manifest.tokenizer_sha256, 'b', 64);
    cr_assert_eq(ckpt_commit(root, &manifest, &err), RT_OK, "%s", err.text);
}

Test(shard_files, initial_weights_do_not_depend_on_the_number_of_shards)
{
    config *c = load_config();
    size_t n = 0, n_again = 0;
    float *one = load_all(c, 0, "", 1, &n), *three = load_all(c, 0, "", 3, &n_again);
    cr_expect_eq(n, n_again);
    cr_expect_eq(memcmp(one, three, 3 * n * sizeof *one), 0);
    cr_expect_neq(one[0], 0);
    cr_expect_eq(one[n], 0, "moments begin at zero");
    free(one);
    free(three);
    config_free(c);
}

Test(shard_files, what_two_shards_saved_three_restore_bit_for_bit)
{
    config *c = load_config();
    char *root = temp_folder_new(), folder[512];
    size_t n = 0;
    save_all(c, root, 2);
    cr_assert_eq(ckpt_folder(root, 9, false, folder, sizeof folder, NULL), RT_OK);
    float *start = load_all(c, 0, "", 1, &n);
    float *two = load_all(c, 9, folder, 2, &n), *three = load_all(c, 9, folder, 3, &n);
    cr_expect_eq(memcmp(two, three, 3 * n * sizeof *two), 0);
    cr_expect_eq(memcmp(two, start, n * sizeof *two), 0);
    cr_expect_eq(two[n], 2 * start[0]);
    cr_expect_eq(two[2 * n], 3 * start[0]);
    free(start);
    free(two);
    free(three);
    temp_folder_free(root);
    config_free(c);
}

Test(shard_files, saving_twice_writes_the_same_bytes)
{
    config *c = load_config();
    char *root = temp_folder_new();
    shard_model *held = NULL;
    ckpt_file first[2], second[2];
    struct stat info;
    wire_server_order order = order_of(0, "", 1);
    cr_assert_eq(shard_load(c, 0, &order, &held, NULL), RT_OK);
    const char *folder = temp_folder_path(root, "deep/step-1.partial");
    cr_assert_eq(shard_save(held, 1, folder, first, NULL), RT_OK);
    cr_assert_eq(shard_save(held, 1, folder, second, NULL), RT_OK);
    cr_expect_str_eq(first[0].name, "model-00001-of-00001.safetensors");
    cr_expect_str_eq(first[1].name, "optim-00001-of-00001.safetensors");
    for (int i = 0; i < 2; i++) {
        char path[640];
        snprintf(path, sizeof path, "%s/%s", folder, first[i].name);
        cr_expect_str_eq(first[i].sha256, second[i].sha256);
        cr_assert_eq(stat(path, &info), 0);
        cr_expect_eq(first[i].n_bytes, (uint64_t)info.st_size);
    }
    shard_model_free(held);
    temp_folder_free(root);
    config_free(c);
}

Test(shard_files, refuses_what_does_not_match_the_order)
{
    config *c = load_config();
    char *root = temp_folder_new(), folder[512];
    shard_model *held = NULL;
    rt_error err = {0};
    save_all(c, root, 1);
    cr_assert_eq(ckpt_folder(root, 9, false, folder, sizeof folder, NULL), RT_OK);
    wire_server_order order = order_of(8, folder, 1);
    cr_expect_eq(shard_load(c, 0, &order, &held, &err), RT_CORRUPT, "another version");
    order = order_of(9, folder, 1);
    order.n_vocab = 41;
    cr_expect_neq(shard_load(c, 0, &order, &held, &err), RT_OK, "another vocabulary");
    order = order_of(4, "", 1);
    cr_expect_eq(shard_load(c, 0, &order, &held, &err), RT_INVALID, "no folder");
    order = order_of(0, "", 2);
    cr_expect_eq(shard_load(c, 2, &order, &held, &err), RT_INVALID, "no such shard");
    cr_expect_null(held);
    temp_folder_free(root);
    config_free(c);
}

Test(shard_files, a_folder_that_cannot_be_written_is_named)
{
    config *c = load_config();
    char *root = temp_folder_new();
    shard_model *held = NULL;
    ckpt_file files[2] = {{.n_bytes = 5}};
    rt_error err = {0};
    wire_server_order order = order_of(0, "", 1);
    cr_assert_eq(shard_load(c, 0, &order, &held, NULL), RT_OK);
    temp_folder_write_text(root, "file", "in the way");
    cr_expect_eq(shard_save(held, 1, temp_folder_path(root, "file"), files, &err), RT_IO);
    cr_expect_not_null(strstr(err.text, "file"), "%s", err.text);
    cr_expect_eq(files[0].n_bytes, 5, "untouched");
    shard_model_free(held);
    temp_folder_free(root);
    config_free(c);
}
