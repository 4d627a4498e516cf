#include "cli/doctor/corpus_sample.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/temp_folder.h"

static char *folder;

static void make_folder(void)
{
    folder = temp_folder_new();
}

static void drop_folder(void)
{
    temp_folder_free(folder);
}

TestSuite(corpus_sample, .init = make_folder, .fini = drop_folder);

static rt_status read_corpus(const char *text, const char *more, corpus_sample *out, rt_error *err)
{
    config *c = NULL;
    char files[300];
    temp_folder_write_text(folder, "c.jsonl", text);
    snprintf(files, sizeof files, "corpus.files=[\"%s\"]", temp_folder_path(folder, "c.jsonl"));
    const char *sets[] = {
        files, "teacher.files=[\"x\"]", "teacher.match_field={a}", "corpus.input={q}", more, NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &c, err), RT_OK, "%s", err->text);
    rt_status st = corpus_sample_read(c, out, err);
    config_free(c);
    return st;
}

Test(corpus_sample, rows_are_rendered_as_a_run_does)
{
    corpus_sample s = {0};
    rt_error err = {0};
    cr_assert_eq(read_corpus("{\"q\":\"one\",\"id\":7}\n\n{\"q\":\"three\",\"id\":null}\n",
                             "corpus.source_id=id", &s, &err),
                 RT_OK, "%s", err.text);
    cr_assert_eq(s.n, 2);
    cr_expect_str_eq(s.inputs[1], "three");
    cr_expect_str_eq(s.source_ids[0], "7");
    cr_expect_str_eq(s.source_ids[1], "");
    cr_expect(s.is_whole);
    cr_expect_eq(s.n_rows_about, 2);
    cr_expect_float_eq(corpus_sample_bytes_mean(&s), 4, 1e-9);
    cr_expect_eq(corpus_verdict(&s, 0).level, FINDING_OK);
    corpus_sample_free(&s);
}

Test(corpus_sample, malformed_rows_are_named_and_judged_by_their_share)
{
    corpus_sample s = {0};
    rt_error err = {0};
    cr_assert_eq(
        read_corpus("{\"q\":\"one\"}\n{\"q\":\n{\"x\":1}\n{\"q\":\" \"}\n", NULL, &s, &err), RT_OK,
        "%s", err.text);
    cr_expect_eq(s.n, 1);
    cr_expect_eq(s.n_malformed, 3);
    cr_expect(strstr(s.first_bad, "c.jsonl:2: ") != NULL, "%s", s.first_bad);
    cr_expect_eq(corpus_verdict(&s, 0.75).level, FINDING_WARN);
    finding f = corpus_verdict(&s, 0.7);
    cr_expect_eq(f.level, FINDING_FAIL);
    cr_expect_eq(f.why, RT_CORRUPT);
    corpus_sample_free(&s);
}

Test(corpus_sample, a_gold_template_whose_field_is_missing_makes_a_row_malformed)
{
    corpus_sample s = {0};
    rt_error err = {0};
    cr_assert_eq(
        read_corpus("{\"q\":\"one\",\"g\":null}\n{\"q\":\"two\"}\n", "corpus.gold={g}", &s, &err),
        RT_OK, "%s", err.text);
    cr_expect_eq(s.n, 1, "null is known to be without one");
    cr_expect_eq(s.n_malformed, 1);
    corpus_sample_free(&s);
}

Test(corpus_sample, no_row_and_no_good_row_fail)
{
    corpus_sample s = {0};
    rt_error err = {0};
    cr_assert_eq(read_corpus("\n", NULL, &s, &err), RT_OK);
    cr_expect_eq(corpus_verdict(&s, 1).level, FINDING_FAIL);
    corpus_sample_free(&s);
    cr_assert_eq(read_corpus("{}\n", NULL, &s, &err), RT_OK);
    cr_expect_eq(corpus_verdict(&s, 1).level, FINDING_FAIL);
    corpus_sample_free(&s);
}

static rt_status questions(size_t n, rt_buf *text)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < n && st == RT_OK; i++)
        st = rt_buf_printf(text, NULL, "{\"q\":\"question number %06zu of a corpus\"}\n", i);
    return st;
}

Test(corpus_sample, one_that_just_fits_is_whole)
{
    corpus_sample s = {0};
    rt_buf text = {0};
    rt_error err = {0};
    cr_assert_eq(questions(SAMPLE_ROWS_MAX, &text), RT_OK);
    cr_assert_eq(read_corpus(text.data, NULL, &s, &err), RT_OK, "%s", err.text);
    cr_expect(s.is_whole);
    cr_expect_eq(s.n_rows, SAMPLE_ROWS_MAX);
    corpus_sample_free(&s);
    cr_assert_eq(questions(1, &text), RT_OK);
    cr_assert_eq(read_corpus(text.data, NULL, &s, &err), RT_OK, "%s", err.text);
    cr_expect_not(s.is_whole);
    cr_expect_eq(s.n_rows, SAMPLE_ROWS_MAX);
    corpus_sample_free(&s);
    rt_buf_free(&text);
}

Test(corpus_sample, a_large_corpus_is_read_in_part_and_counted_by_its_bytes)
{
    corpus_sample s = {0};
    rt_buf text = {0};
    rt_error err = {0};
    const size_t n = 3 * SAMPLE_ROWS_MAX;
    cr_assert_eq(questions(n, &text), RT_OK);
    cr_assert_eq(read_corpus(text.data, NULL, &s, &err), RT_OK, "%s", err.text);
    cr_expect_eq(s.n, SAMPLE_ROWS_MAX);
    cr_expect_not(s.is_whole);
    cr_expect(s.n_rows_about > n * 8 / 10 && s.n_rows_about < n * 12 / 10, "%zu",
              (size_t)s.n_rows_about);
    corpus_sample_free(&s);
    cr_assert_eq(read_corpus(text.data, "corpus.rows_max=500", &s, &err), RT_OK);
    cr_expect(s.is_whole);
    cr_expect_eq(s.n_rows_about, 500);
    corpus_sample_free(&s);
    rt_buf_free(&text);
}
