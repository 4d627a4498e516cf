#include "worker/teacher/batch/batch_writer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static batch_writer *open_writer(const char *path, uint64_t lines_max, uint64_t bytes_max)
{
    batch_writer *w = NULL;
    rt_error err = {0};
    batch_limits limits = {.lines_max = lines_max, .bytes_max = bytes_max};
    cr_assert_eq(batch_writer_open(path, &limits, &w, &err), RT_OK, "%s", err.text);
    return w;
}

static void add(batch_writer *w, const char *line)
{
    rt_error err = {0};
    cr_assert_eq(batch_writer_add(w, line, strlen(line), &err), RT_OK, "%s", err.text);
}

static void expect_file(const char *folder, const char *name, const char *text)
{
    rt_buf found = {0};
    temp_folder_read(folder, name, &found);
    cr_expect_str_eq(found.data, text, "%s", name);
    rt_buf_free(&found);
}

static void end_empty(char *folder)
{
    cr_expect_eq(rmdir(folder), 0, "something was left behind");
    free(folder);
}

Test(batch_writer, begins_a_new_file_at_each_limit)
{
    uint64_t n_files = 0;
    char *folder = temp_folder_new();
    batch_writer *w = open_writer(temp_folder_path(folder, "out/"), 3, 10);
    add(w, "1\n");
    add(w, "2\n");
    add(w, "3\n");
    add(w, "4\n"); /* the fourth line */
    add(w, "123456\n");
    add(w, "5\n"); /* the eleventh byte */
    cr_assert_eq(batch_writer_commit(w, &n_files, NULL), RT_OK);
    batch_writer_close(w);
    cr_expect_eq(n_files, 3);
    expect_file(folder, "out/batch-0001.jsonl", "1\n2\n3\n");
    expect_file(folder, "out/batch-0002.jsonl", "4\n123456\n");
    expect_file(folder, "out/batch-0003.jsonl", "5\n");
    temp_folder_free(folder);
}

Test(batch_writer, leaves_nothing_behind_unless_it_is_committed)
{
    char *folder = temp_folder_new();
    batch_writer *w = open_writer(temp_folder_path(folder, "out"), 3, 10);
    add(w, "1\n");
    batch_writer_close(w);
    end_empty(folder);
}

Test(batch_writer, makes_no_folder_for_no_lines)
{
    uint64_t n_files = 9;
    char *folder = temp_folder_new();
    batch_writer *w = open_writer(temp_folder_path(folder, "out"), 3, 10);
    cr_assert_eq(batch_writer_commit(w, &n_files, NULL), RT_OK);
    cr_expect_eq(n_files, 0);
    batch_writer_close(w);
    end_empty(folder);
}

Test(batch_writer, refuses_a_folder_that_is_there_and_a_line_that_fits_nowhere)
{
    batch_writer *w = NULL;
    rt_error err = {0};
    char *folder = temp_folder_new();
    cr_expect_eq(batch_writer_open(folder, &batch_limits_default, &w, &err), RT_EXISTS);
    cr_expect(strstr(err.text, "is there already") != NULL, "%s", err.text);
    w = open_writer(temp_folder_path(folder, "out"), 3, 10);
    cr_expect_eq(batch_writer_add(w, "0123456789\n", 11, &err), RT_FULL);
    batch_writer_close(w);
    end_empty(folder);
}

Test(batch_writer, knows_what_providers_take)
{
    cr_expect_eq(batch_limits_default.lines_max, 50000);
    cr_expect_leq(batch_limits_default.bytes_max, 200u * 1000 * 1000);
}
