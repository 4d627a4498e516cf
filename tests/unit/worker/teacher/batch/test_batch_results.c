#include "worker/teacher/batch/batch_results.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "tests/support/temp_folder.h"

#define ANSWER(id, x)                                                                 \
    "{\"custom_id\":\"" id "\",\"response\":{\"status_code\":200,\"body\":{\"x\":" #x \
    "}},\"error\":null}"
#define FAILURE(id, code) \
    "{\"custom_id\":\"" id "\",\"response\":null,\"error\":{\"code\":\"" code "\"}}"

static char *folder;
static batch_results *r;

static void begin(void)
{
    rt_log_init(RT_LOG_ERROR, "test");
    folder = temp_folder_new();
    cr_assert_eq(batch_results_new(&r, NULL), RT_OK);
}

static void end(void)
{
    batch_results_free(r);
    temp_folder_free(folder);
}

TestSuite(batch_results, .init = begin, .fini = end);

static void add(const char *name, const char *text)
{
    rt_error err = {0};
    temp_folder_write_text(folder, name, text);
    cr_assert_eq(batch_results_add(r, temp_folder_path(folder, name), &err), RT_OK, "%s", err.text);
}

static void expect(const char *custom_id, const char *body)
{
    batch_result found = {0};
    rt_status st = batch_results_find(r, custom_id, &found, NULL);
    cr_expect_eq(st, body == NULL ? RT_NOTFOUND : RT_OK, "%s", custom_id);
    cr_expect_eq(batch_results_has(r, custom_id), body != NULL);
    if (st == RT_OK && body != NULL) cr_expect_str_eq(found.body.data, body);
    batch_result_free(&found);
}

Test(batch_results, finds_answers_of_all_files_in_any_order)
{
    add("a", ANSWER("b", 2) "\n" ANSWER("a", 1) "\n");
    add("b", ANSWER("c", 3) "\n\n  \r\n");
    expect("a", "{\"x\":1}");
    expect("b", "{\"x\":2}");
    expect("c", "{\"x\":3}");
    expect("d", NULL);
    batch_results_counts n = batch_results_count(r);
    cr_expect_eq(n.n_lines, 3);
    cr_expect_eq(n.n_answers, 3);
    cr_expect_eq(n.n_failed, 0);
}

Test(batch_results, reads_a_last_line_without_its_end_and_counts_one_that_was_cut)
{
    add("whole", ANSWER("a", 1) "\n" ANSWER("b", 2));
    add("cut", ANSWER("c", 3) "\n{\"custom_id\":\"d\",\"respon");
    expect("b", "{\"x\":2}");
    expect("c", "{\"x\":3}");
    expect("d", NULL);
    cr_expect_eq(batch_results_count(r).n_unreadable, 1);
    cr_expect_eq(batch_results_count(r).n_lines, 4);
}

Test(batch_results, counts_failures_by_their_code_and_prefers_answers)
{
    uint64_t n = 0;
    add("errors", FAILURE("a", "batch_expired") "\n" FAILURE("b", "batch_expired") "\n" FAILURE(
                      "c", "server_error") "\nnonsense\n");
    add("results", ANSWER("a", 1) "\n" ANSWER("a", 9) "\n");
    expect("a", "{\"x\":1}"); /* the first answer */
    expect("b", NULL);
    cr_assert_eq(batch_results_n_codes(r), 2);
    cr_expect_str_eq(batch_results_code(r, 0, &n), "batch_expired");
    cr_expect_eq(n, 2);
    cr_expect_null(batch_results_code(r, 2, &n));
    cr_expect_eq(batch_results_count(r).n_failed, 3);
    cr_expect_eq(batch_results_count(r).n_unreadable, 1);
    cr_expect_eq(batch_results_count(r).n_answers, 1);
}

Test(batch_results, folds_codes_beyond_its_limit)
{
    rt_buf text = {0};
    uint64_t n = 0;
    for (int i = 0; i < BATCH_CODES_MAX + 10; i++)
        cr_assert_eq(
            rt_buf_printf(&text, NULL, "{\"custom_id\":\"a\",\"error\":{\"code\":\"%d\"}}\n", i),
            RT_OK);
    add("errors", text.data);
    cr_expect_eq(batch_results_n_codes(r), BATCH_CODES_MAX);
    cr_expect_str_eq(batch_results_code(r, BATCH_CODES_MAX - 1, &n), "other");
    cr_expect_eq(n, 11);
    rt_buf_free(&text);
}

static void write_gzip(const char *name, const char *text)
{
    gzFile f = gzopen(temp_folder_path(folder, name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(gzwrite(f, text, (unsigned)strlen(text)), (int)strlen(text));
    cr_assert_eq(gzclose(f), Z_OK);
}

Test(batch_results, finds_answers_of_compressed_files_and_names_a_torn_one)
{
    rt_error err = {0};
    rt_buf long_text = {0};
    write_gzip("a.gz", ANSWER("b", 2) "\n" ANSWER("a", 1)); /* no end of the last line */
    cr_assert_eq(batch_results_add(r, temp_folder_path(folder, "a.gz"), &err), RT_OK, "%s",
                 err.text);
    add("plain", ANSWER("c", 3) "\n");
    for (int i = 0; i < 20000; i++) /* longer than what is unpacked at once */
        cr_assert_eq(rt_buf_printf(&long_text, NULL,
                                   "%s{\"custom_id\":\"n%d\",\"response\":{\"body\":{\"x\":%d}}}",
                                   i > 0 ? "\n" : "", i, i),
                     RT_OK);
    write_gzip("named-without-gz", long_text.data);
    cr_assert_eq(batch_results_add(r, temp_folder_path(folder, "named-without-gz"), &err), RT_OK);
    expect("a", "{\"x\":1}");
    expect("b", "{\"x\":2}");
    expect("c", "{\"x\":3}");
    expect("n0", "{\"x\":0}");
    expect("n19999", "{\"x\":19999}");
    cr_expect_eq(batch_results_count(r).n_lines, 20003);

    rt_buf bytes = {0};
    cr_assert_eq(rt_fs_read(temp_folder_path(folder, "a.gz"), 1 << 20, &bytes, NULL), RT_OK);
    cr_assert_eq(
        rt_fs_write_atomic(temp_folder_path(folder, "torn.gz"), bytes.data, bytes.n - 9, NULL),
        RT_OK);
    cr_expect_eq(batch_results_add(r, temp_folder_path(folder, "torn.gz"), &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "torn.gz"), "%s", err.text);
    rt_buf_free(&bytes);
    rt_buf_free(&long_text);
}

Test(batch_results, names_a_file_that_is_not_there)
{
    rt_error err = {0};
    cr_expect_eq(batch_results_add(r, temp_folder_path(folder, "none"), &err), RT_NOTFOUND);
    cr_expect(strstr(err.text, "none") != NULL, "%s", err.text);
}
