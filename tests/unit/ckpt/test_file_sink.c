#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/ckpt/file_sink.h"
#include "tests/support/temp_folder.h"

Test(file_sink, a_committed_file_holds_the_bytes_and_their_hash)
{
    char *folder = temp_folder_new(), sha256[RT_SHA256_HEX_SIZE], again[RT_SHA256_HEX_SIZE];
    const char *path = temp_folder_path(folder, "x");
    file_sink s;
    rt_buf bytes = {0};
    cr_assert_eq(file_sink_open(&s, path, NULL), RT_OK);
    cr_expect_not(rt_fs_exists(path), "nothing is in the place before the end");
    cr_assert_eq(file_sink_put(&s, "ab", 2, NULL), RT_OK);
    cr_assert_eq(file_sink_pad(&s, 300, NULL), RT_OK);
    cr_expect_eq(s.n_bytes, 302);
    cr_assert_eq(file_sink_commit(&s, sha256, NULL), RT_OK);
    file_sink_close(&s);
    temp_folder_read(folder, "x", &bytes);
    cr_assert_eq(bytes.n, 302);
    cr_expect_eq(memcmp(bytes.data, "ab\0", 3), 0);
    cr_assert_eq(rt_sha256_file(path, again, NULL), RT_OK);
    cr_expect_str_eq(sha256, again);
    rt_buf_free(&bytes);
    temp_folder_free(folder);
}

Test(file_sink, without_a_commit_nothing_is_left_and_the_old_file_stays)
{
    char *folder = temp_folder_new(), temporary[4200];
    rt_buf bytes = {0};
    file_sink s;
    temp_folder_write_text(folder, "x", "old");
    cr_assert_eq(file_sink_open(&s, temp_folder_path(folder, "x"), NULL), RT_OK);
    snprintf(temporary, sizeof temporary, "%s", s.temporary);
    cr_assert_eq(file_sink_put(&s, "new", 3, NULL), RT_OK);
    cr_expect(rt_fs_exists(temporary));
    file_sink_close(&s);
    cr_expect_not(rt_fs_exists(temporary));
    temp_folder_read(folder, "x", &bytes);
    cr_expect_str_eq(bytes.data, "old");
    rt_error err = {0};
    cr_expect_eq(file_sink_open(&s, "/nowhere/x", &err), RT_IO);
    cr_expect_not_null(strstr(err.text, "/nowhere/x"), "%s", err.text);
    file_sink_close(&s);
    rt_buf_free(&bytes);
    temp_folder_free(folder);
}
