#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"

static char folder[] = "/tmp/rt-fs-XXXXXX";
static char path[128];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(rt_fs_join(path, sizeof path, folder, "file", NULL), RT_OK);
}

static void remove_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
    cr_assert_not(rt_fs_exists(folder));
}

TestSuite(fs, .init = make_folder, .fini = remove_folder);

static size_t n_entries(void)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL) n++;
    closedir(dir);
    return n - 2;
}

Test(fs, what_is_written_is_read_back_byte_for_byte)
{
    static const char bytes[] = "line\n\0binary\xFF";
    rt_buf b = {0};
    cr_assert_eq(rt_fs_write_atomic(path, bytes, sizeof bytes, NULL), RT_OK);
    cr_assert_eq(rt_fs_read(path, 1000, &b, NULL), RT_OK);
    cr_expect_eq(b.n, sizeof bytes);
    cr_expect_arr_eq(b.data, bytes, sizeof bytes);
    cr_expect_eq(n_entries(), 1, "no temporary file is left");
    rt_buf_free(&b);
}

Test(fs, a_write_replaces_the_whole_file)
{
    rt_buf b = {0};
    cr_assert_eq(rt_fs_write_atomic(path, "a longer text", 13, NULL), RT_OK);
    cr_assert_eq(rt_fs_write_atomic(path, "short", 5, NULL), RT_OK);
    cr_assert_eq(rt_fs_read(path, 1000, &b, NULL), RT_OK);
    cr_expect_str_eq(b.data, "short");
    cr_assert_eq(rt_fs_write_atomic(path, "", 0, NULL), RT_OK);
    cr_assert_eq(rt_fs_read(path, 1000, &b, NULL), RT_OK);
    cr_expect_eq(b.n, 0);
    cr_expect_str_eq(b.data, "", "reading replaces the content of the buffer");
    rt_buf_free(&b);
}

Test(fs, a_failed_write_leaves_the_old_file_and_no_temporary)
{
    char inner[160];
    rt_error err = {0};
    /* The target is a folder that is not empty: the rename must fail. */
    cr_assert_eq(rt_fs_mkdirs(path, NULL), RT_OK);
    cr_assert_eq(rt_fs_join(inner, sizeof inner, path, "kept", NULL), RT_OK);
    cr_assert_eq(rt_fs_write_atomic(inner, "x", 1, NULL), RT_OK);
    cr_expect_eq(rt_fs_write_atomic(path, "new", 3, &err), RT_IO);
    cr_expect_not_null(strstr(err.text, path), "%s", err.text);
    cr_expect(rt_fs_exists(inner));
    cr_expect_eq(n_entries(), 1);
    cr_expect_eq(rt_fs_write_atomic("/nonexistent/x", "new", 3, &err), RT_IO);
    cr_expect_not_null(strstr(err.text, "/nonexistent/x"), "%s", err.text);
}

Test(fs, reading_has_a_limit_and_tells_absent_from_broken)
{
    rt_buf b = {0};
    rt_error err = {0};
    cr_assert_eq(rt_fs_write_atomic(path, "0123456789", 10, NULL), RT_OK);
    cr_expect_eq(rt_fs_read(path, 10, &b, NULL), RT_OK);
    cr_expect_eq(rt_fs_read(path, 9, &b, &err), RT_FULL);
    cr_expect_not_null(strstr(err.text, "9 bytes"), "%s", err.text);
    cr_expect_eq(rt_fs_read("/nonexistent", 10, &b, &err), RT_NOTFOUND);
    cr_expect_eq(rt_fs_read(folder, 10, &b, &err), RT_IO, "a folder");
    rt_buf_free(&b);
}

Test(fs, folders_are_made_with_parents_and_removed_with_content)
{
    char deep[160];
    rt_error err = {0};
    cr_assert_eq(rt_fs_join(deep, sizeof deep, folder, "a/b/c", NULL), RT_OK);
    cr_expect_eq(rt_fs_mkdirs(deep, NULL), RT_OK);
    cr_expect_eq(rt_fs_mkdirs(deep, NULL), RT_OK, "fine when it exists");
    cr_expect(rt_fs_exists(deep));
    cr_assert_eq(rt_fs_write_atomic(path, "x", 1, NULL), RT_OK);
    cr_expect_eq(rt_fs_mkdirs(path, &err), RT_IO, "a file is in the way");
    cr_expect_eq(rt_fs_mkdirs("", &err), RT_INVALID);
    cr_assert_eq(rt_fs_join(deep, sizeof deep, folder, "a", NULL), RT_OK);
    cr_expect_eq(rt_fs_remove_tree(deep, NULL), RT_OK);
    cr_expect_not(rt_fs_exists(deep));
    cr_expect_eq(rt_fs_remove_tree(deep, NULL), RT_OK, "fine when it is gone");
}

Test(fs, removing_a_tree_does_not_follow_links)
{
    char tree[160], link_path[192], outside[160];
    cr_assert_eq(rt_fs_join(tree, sizeof tree, folder, "tree", NULL), RT_OK);
    cr_assert_eq(rt_fs_join(outside, sizeof outside, folder, "outside", NULL), RT_OK);
    cr_assert_eq(rt_fs_mkdirs(tree, NULL), RT_OK);
    cr_assert_eq(rt_fs_mkdirs(outside, NULL), RT_OK);
    cr_assert_eq(rt_fs_join(link_path, sizeof link_path, tree, "link", NULL), RT_OK);
    cr_assert_eq(symlink(outside, link_path), 0);
    cr_expect_eq(rt_fs_remove_tree(tree, NULL), RT_OK);
    cr_expect(rt_fs_exists(outside));
}

Test(fs, join_uses_one_slash_and_has_a_limit)
{
    char out[8];
    cr_expect_eq(rt_fs_join(out, sizeof out, "a/", "b", NULL), RT_OK);
    cr_expect_str_eq(out, "a/b");
    cr_expect_eq(rt_fs_join(out, sizeof out, "abc", "def", NULL), RT_OK);
    cr_expect_eq(rt_fs_join(out, sizeof out, "abcd", "def", NULL), RT_FULL);
}
