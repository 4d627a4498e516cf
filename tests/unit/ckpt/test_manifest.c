#include <criterion/criterion.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/fs.h"
#include "common/ckpt/manifest.h"

static char root[64];
static ckpt_file files[2];
static ckpt_manifest m;

static void make_root(void)
{
    snprintf(root, sizeof root, "/tmp/rt-ckpt-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    cr_assert_eq(rt_fs_remove_tree(root, NULL), RT_OK);
}

TestSuite(ckpt_manifest, .init = make_root, .fini = remove_root);

static const char *path_of(uint64_t version, bool partial, const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/step-%" PRIu64 "%s/%s", root, version,
             partial ? ".partial" : "", name);
    return path;
}

/* What two shards leave behind before the commit. */
static void write_slices(uint64_t version)
{
    char folder[PATH_MAX], text[32];
    cr_assert_eq(ckpt_folder(root, version, true, folder, sizeof folder, NULL), RT_OK);
    cr_assert_eq(rt_fs_mkdirs(folder, NULL), RT_OK);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(files[i].name, sizeof files[i].name, "model-0000%u-of-00002.safetensors", i + 1);
        int n = snprintf(text, sizeof text, "slice %u of %" PRIu64, i, version);
        files[i].n_bytes = (uint64_t)n;
        rt_sha256_of(text, (size_t)n, files[i].sha256);
        const char *path = path_of(version, true, files[i].name);
        cr_assert_eq(rt_fs_write_atomic(path, text, (size_t)n, NULL), RT_OK);
    }
    m = (ckpt_manifest){.version = version, .n_shards = 2, .files = files, .n_files = 2};
    snprintf(m.fingerprint, sizeof m.fingerprint, "%032d", 7);
    snprintf(m.tokenizer_sha256, sizeof m.tokenizer_sha256, "%064d", 9);
}

static void commit(uint64_t version)
{
    rt_error err = {0};
    write_slices(version);
    cr_assert_eq(ckpt_commit(root, &m, &err), RT_OK, "%s", err.text);
}

static void overwrite(const char *path, const char *text)
{
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
}

Test(ckpt_manifest, commits_by_rename_and_reads_back_what_was_written)
{
    ckpt_manifest found = {0};
    char folder[PATH_MAX];
    commit(500);
    cr_expect_not(rt_fs_exists(path_of(500, true, "")));
    cr_assert_eq(ckpt_folder(root, 500, false, folder, sizeof folder, NULL), RT_OK);
    cr_assert_eq(ckpt_open(folder, &found, NULL), RT_OK);
    cr_expect_eq(found.version, 500);
    cr_expect_eq(found.n_shards, 2);
    cr_expect_eq(found.n_files, 2);
    cr_expect_str_eq(found.files[1].name, files[1].name);
    cr_expect_str_eq(found.files[1].sha256, files[1].sha256);
    cr_expect_str_eq(found.fingerprint, m.fingerprint);
    cr_expect_str_eq(found.tokenizer_sha256, m.tokenizer_sha256);
    ckpt_manifest_free(&found);
}

Test(ckpt_manifest, takes_a_repeated_commit)
{
    commit(5);
    cr_expect_eq(ckpt_commit(root, &m, NULL), RT_OK);
    commit(5);
    cr_expect(rt_fs_exists(path_of(5, false, "manifest.json")));
    cr_expect_not(rt_fs_exists(path_of(5, true, "")));
}

Test(ckpt_manifest, refuses_to_commit_when_a_slice_is_missing_or_short)
{
    rt_error err = {0};
    write_slices(5);
    overwrite(path_of(5, true, files[0].name), "x");
    cr_expect_eq(ckpt_commit(root, &m, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, files[0].name));
    unlink(path_of(5, true, files[0].name));
    cr_expect_eq(ckpt_commit(root, &m, &err), RT_CORRUPT);
    cr_expect_not(rt_fs_exists(path_of(5, false, "")));
}

Test(ckpt_manifest, replaces_a_damaged_folder_of_the_same_version)
{
    ckpt_manifest found = {0};
    commit(5);
    overwrite(path_of(5, false, files[0].name), "slice 9 of 5");
    commit(5);
    cr_assert_eq(ckpt_newest_good(root, &found, NULL), RT_OK);
    cr_expect_eq(found.version, 5);
    ckpt_manifest_free(&found);
}

Test(ckpt_manifest, names_the_file_whose_bytes_changed)
{
    rt_error err = {0};
    ckpt_manifest found = {0};
    char folder[PATH_MAX];
    commit(5);
    overwrite(path_of(5, false, files[1].name), "slice 1 0f 5");
    cr_assert_eq(ckpt_folder(root, 5, false, folder, sizeof folder, NULL), RT_OK);
    cr_expect_eq(ckpt_open(folder, &found, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, files[1].name));
    cr_expect_not_null(strstr(err.text, files[1].sha256));
}

Test(ckpt_manifest, falls_back_to_the_newest_good_version)
{
    ckpt_manifest found = {0};
    commit(5);
    commit(10);
    commit(15);
    overwrite(path_of(15, false, files[0].name), "gone");
    overwrite(path_of(10, false, "manifest.json"), "{\"version\":");
    write_slices(20); /* never committed */
    cr_assert_eq(ckpt_newest_good(root, &found, NULL), RT_OK);
    cr_expect_eq(found.version, 5);
    ckpt_manifest_free(&found);
}

Test(ckpt_manifest, finds_nothing_in_an_empty_or_absent_folder)
{
    ckpt_manifest found = {0};
    cr_expect_eq(ckpt_newest_good(root, &found, NULL), RT_NOTFOUND);
    cr_expect_eq(ckpt_newest_good("/nonexistent/rt", &found, NULL), RT_NOTFOUND);
}

Test(ckpt_manifest, does_not_trust_a_folder_that_was_renamed)
{
    ckpt_manifest found = {0};
    char to[PATH_MAX];
    commit(5);
    snprintf(to, sizeof to, "%s/step-9", root);
    cr_assert_eq(rename(path_of(5, false, ""), to), 0);
    cr_expect_eq(ckpt_newest_good(root, &found, NULL), RT_NOTFOUND);
}

Test(ckpt_manifest, survives_a_manifest_cut_or_flipped_at_any_byte)
{
    char folder[PATH_MAX], path[PATH_MAX + 32];
    rt_buf text = {0};
    commit(5);
    cr_assert_eq(ckpt_folder(root, 5, false, folder, sizeof folder, NULL), RT_OK);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    cr_assert_eq(rt_fs_read(path, 1 << 20, &text, NULL), RT_OK);
    size_t n_cut_ok = 0;
    for (size_t i = 0; i < text.n; i++) {
        ckpt_manifest found = {0};
        cr_assert_eq(rt_fs_write_atomic(path, text.data, i, NULL), RT_OK);
        if (ckpt_open(folder, &found, NULL) == RT_OK) n_cut_ok++;
        ckpt_manifest_free(&found);
        char kept = text.data[i];
        text.data[i] = (char)(kept ^ 0x11);
        cr_assert_eq(rt_fs_write_atomic(path, text.data, text.n, NULL), RT_OK);
        if (ckpt_open(folder, &found, NULL) == RT_OK) ckpt_manifest_free(&found);
        text.data[i] = kept;
    }
    cr_expect_eq(n_cut_ok, 0);
    rt_buf_free(&text);
}

Test(ckpt_manifest, refuses_file_names_that_leave_the_folder)
{
    rt_error err = {0};
    write_slices(5);
    snprintf(files[0].name, sizeof files[0].name, "../escape");
    cr_expect_eq(ckpt_commit(root, &m, &err), RT_INVALID);
}

Test(ckpt_manifest, keeps_the_newest_and_the_listed_and_what_is_in_the_making)
{
    uint64_t best = 5, *versions = NULL;
    size_t n = 0;
    for (uint64_t v = 5; v <= 25; v += 5) commit(v);
    write_slices(20);
    write_slices(30);
    cr_assert_eq(ckpt_prune(root, 2, &best, 1, NULL), RT_OK);
    cr_assert_eq(ckpt_list(root, &versions, &n, NULL), RT_OK);
    cr_assert_eq(n, 3);
    cr_expect_eq(versions[0], 5);
    cr_expect_eq(versions[1], 20);
    cr_expect_eq(versions[2], 25);
    cr_expect_not(rt_fs_exists(path_of(20, true, "")));
    cr_expect(rt_fs_exists(path_of(30, true, "")));
    free(versions);
}
