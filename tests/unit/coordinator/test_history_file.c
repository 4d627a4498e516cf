/* <run>/history.jsonl: what a restart finds, whatever was done to the file. */
#include "coordinator/history_file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static char *folder;
static history *h;

static void open_folder(void)
{
    folder = temp_folder_new();
    h = malloc(sizeof *h);
    cr_assert_not_null(h);
    history_start(h);
}

static void close_folder(void)
{
    free(h);
    temp_folder_free(folder);
}

TestSuite(history_file, .init = open_folder, .fini = close_folder);

static history_file *open_file(void)
{
    return history_file_open(temp_folder_path(folder, "history.jsonl"), h);
}

static void add_point(history_file *f, double t_s)
{
    rt_buf line = {0};
    history_point p = {.time_s = 1e9 + t_s, .t_s = t_s, .step = (uint64_t)t_s, .loss = NAN};
    history_add(h, &p);
    cr_assert_eq(history_point_line(&p, &line, NULL), RT_OK);
    history_file_add(f, &line);
    rt_buf_free(&line);
}

/* Points [from, to) into a file of a run that ends. */
static void run(int from, int to)
{
    history_file *f = open_file();
    cr_assert_not_null(f);
    for (int t = from; t < to; t++) add_point(f, t);
    history_file_close(f);
}

static void start_again(void)
{
    history_start(h);
    history_file *f = open_file();
    cr_assert_not_null(f);
    history_file_close(f);
}

static size_t n_lines(void)
{
    size_t n = 0;
    rt_buf text = {0};
    temp_folder_read(folder, "history.jsonl", &text);
    for (size_t i = 0; i < text.n; i++) n += text.data[i] == '\n';
    rt_buf_free(&text);
    return n;
}

Test(history_file, curves_and_numbers_go_on_over_restarts)
{
    run(0, 5);
    cr_expect_eq(n_lines(), 6, "a first line and five points");
    run(5, 8);
    uint64_t seq = h->seq;
    start_again();
    cr_expect_eq(h->n, 8);
    cr_expect_eq(h->seq, seq);
    cr_expect_eq(h->points[7].step, 7);
    cr_expect_eq(history_t_s(h), 7);
}

Test(history_file, a_torn_end_and_foreign_lines_are_left_out_and_gone_for_good)
{
    run(0, 3);
    rt_buf text = {0};
    temp_folder_read(folder, "history.jsonl", &text);
    cr_assert_eq(
        rt_buf_add_text(&text,
                        "\n[]\nnull\n{\"kind\":\"point\"}\n{\"kind\":\"point\",\"seq\":-4}\n"
                        "{\"kind\":\"point\",\"seq\":1e300,\"t\":1}\n\xff\xfe\n"
                        "{\"kind\":\"point\",\"seq\":99,\"ti",
                        NULL),
        RT_OK);
    cr_assert_eq(rt_buf_add(&text, "\0\0", 2, NULL), RT_OK);
    temp_folder_write(folder, "history.jsonl", text.data, text.n);
    rt_buf_free(&text);
    start_again();
    cr_expect_eq(h->n, 3);
    cr_expect_eq(n_lines(), 4, "written anew");
    run(3, 4);
    start_again();
    cr_expect_eq(h->n, 4, "what comes after a torn end is whole");
}

Test(history_file, whatever_byte_is_changed_it_opens_and_goes_on)
{
    rt_buf good = {0};
    run(0, 4);
    temp_folder_read(folder, "history.jsonl", &good);
    for (size_t i = 0; i < good.n; i += 17) {
        char kept = good.data[i];
        good.data[i] = (char)(kept ^ (char)(1u << (i % 8)));
        temp_folder_write(folder, "history.jsonl", good.data, good.n);
        good.data[i] = kept;
        start_again();
        cr_assert_leq(h->n, 4, "byte %zu", i);
        cr_assert_eq(n_lines(), h->n + 1, "byte %zu", i);
    }
    rt_buf_free(&good);
}

Test(history_file, one_that_was_deleted_begins_anew)
{
    start_again();
    cr_expect_eq(h->n, 0);
    cr_expect_eq(n_lines(), 1);
}

Test(history_file, one_that_cannot_be_written_stops_nothing)
{
    rt_buf line = {0};
    history_file *f = history_file_open(temp_folder_path(folder, "none/history.jsonl"), h);
    cr_expect_null(f);
    cr_assert_eq(rt_buf_add_text(&line, "{}\n", NULL), RT_OK);
    history_file_add(f, &line);
    history_file_close(f);
    rt_buf_free(&line);
    const char *path = temp_folder_path(folder, "history.jsonl/kept"); /* a folder in its place */
    cr_assert_eq(rt_fs_mkdirs(path, NULL), RT_OK);
    cr_expect_null(open_file());
}

Test(history_file, a_long_run_leaves_a_file_that_is_as_short_as_its_curves)
{
    run(0, 3000); /* points are thinned out after 2,048 */
    size_t written = n_lines();
    start_again();
    cr_expect_lt(n_lines(), written);
    cr_expect_eq(n_lines(), h->n + 1);
    cr_expect_eq(h->interval_s, 2);
}
