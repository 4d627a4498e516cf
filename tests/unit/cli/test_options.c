#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "cli/options.h"

static const option_def defs[] = {
    {"--model", "FOLDER", "student to score", NULL},
    {"--rows", "N", "score at most N rows", "1000"},
    {"--teacher", NULL, "score the teacher too", NULL},
    {0},
};

#define PARSE(o, err, ...)                                                    \
    options_parse(defs, 0, 2, (int)RT_COUNT(((const char *[]){__VA_ARGS__})), \
                  (char *const *)(const char *[]){__VA_ARGS__}, o, err)

static void expect_refused(rt_status st, const options *o, const rt_error *err, const char *text)
{
    cr_expect_eq(st, RT_INVALID);
    cr_expect_null(o, "written on failure");
    cr_expect_not_null(strstr(err->text, text), "'%s' lacks '%s'", err->text, text);
}

Test(options, takes_values_behind_a_space_or_an_equals_sign)
{
    const char *argv[] = {"--model", "a b", "one",       "--rows=7", "--teacher",
                          "--set",   "x=1", "--set=y=2", "--",       "--two"};
    rt_error err = {0};
    options *o = NULL;
    cr_assert_eq(options_parse(defs, 0, 2, RT_COUNT(argv), (char *const *)argv, &o, &err), RT_OK,
                 "%s", err.text);
    uint64_t rows = 0;
    cr_expect_str_eq(options_value(o, "--model"), "a b");
    cr_expect_eq(options_u64(o, "--rows", 1, 10, &rows, &err), RT_OK);
    cr_expect_eq(rows, 7);
    cr_expect(options_has(o, "--teacher"));
    cr_expect_not(options_json(o));
    cr_assert_eq(options_n_args(o), 2);
    cr_expect_str_eq(options_arg(o, 0), "one");
    cr_expect_str_eq(options_arg(o, 1), "--two");
    cr_expect_str_eq(options_sets(o)[0], "x=1");
    cr_expect_str_eq(options_sets(o)[1], "y=2");
    cr_expect_null(options_sets(o)[2]);
    options_free(o);
}

Test(options, gives_defaults_for_what_is_not_there)
{
    rt_error err = {0};
    options *o = NULL;
    uint64_t rows = 0;
    double share = 0.5;
    cr_assert_eq(options_parse(defs, 0, 0, 0, NULL, &o, &err), RT_OK, "%s", err.text);
    cr_expect_null(options_value(o, "--model"));
    cr_expect_str_eq(options_value(o, "--rows"), "1000");
    cr_expect_not(options_has(o, "--rows"), "a default is not on the command line");
    cr_expect_eq(options_u64(o, "--rows", 1, 1000, &rows, &err), RT_OK);
    cr_expect_eq(rows, 1000);
    cr_expect_eq(options_double(o, "--model", 0, 1, &share, &err), RT_OK);
    cr_expect_eq(share, 0.5, "no value at all leaves it as it was");
    cr_expect_str_eq(options_config_path(o), "retort.yaml");
    cr_expect_eq(options_log_level(o), RT_LOG_INFO);
    cr_expect_null(options_sets(o)[0]);
    options_free(o);
}

Test(options, keeps_the_last_of_a_repeated_option)
{
    rt_error err = {0};
    options *o = NULL;
    cr_assert_eq(PARSE(&o, &err, "--rows", "1", "--rows=2", "--log-level=debug"), RT_OK);
    cr_expect_str_eq(options_value(o, "--rows"), "2");
    cr_expect_eq(options_log_level(o), RT_LOG_DEBUG);
    options_free(o);
}

Test(options, help_asks_for_no_arguments)
{
    rt_error err = {0};
    options *o = NULL;
    const char *argv[] = {"-h"};
    cr_assert_eq(options_parse(defs, 2, 2, 1, (char *const *)argv, &o, &err), RT_OK, "%s",
                 err.text);
    cr_expect(options_help(o));
    options_free(o);
}

Test(options, refuses_what_it_does_not_know_and_offers_the_nearest)
{
    rt_error err = {0};
    options *o = NULL;
    expect_refused(PARSE(&o, &err, "--modle", "x"), o, &err, "--modle, did you mean --model?");
    expect_refused(PARSE(&o, &err, "--jsno"), o, &err, "did you mean --json?");
    expect_refused(PARSE(&o, &err, "-x"), o, &err, "unknown option -x; --help");
    expect_refused(PARSE(&o, &err, "--teacher=yes"), o, &err, "--teacher takes no value");
    expect_refused(PARSE(&o, &err, "--model"), o, &err, "--model needs a value: --model FOLDER");
    expect_refused(PARSE(&o, &err, "--model", "--json"), o, &err, "found the option --json");
    expect_refused(PARSE(&o, &err, "--log-level", "loud"), o, &err, "'loud'");
    expect_refused(PARSE(&o, &err, "a", "b", "c"), o, &err, "found the argument 'c'");
    const char *argv[] = {"a"};
    rt_status st = options_parse(NULL, 2, 3, 1, (char *const *)argv, &o, &err);
    expect_refused(st, o, &err, "found 1 arguments, expected at least 2");
}

Test(options, refuses_numbers_out_of_range)
{
    const char *bad[] = {"0", "11", "x", "1.5", "-1", "", "99999999999999999999999"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        rt_error err = {0};
        options *o = NULL;
        uint64_t rows = 77;
        const char *argv[] = {"--rows", bad[i]};
        cr_assert_eq(options_parse(defs, 0, 0, 2, (char *const *)argv, &o, &err), RT_OK);
        cr_expect_eq(options_u64(o, "--rows", 1, 10, &rows, &err), RT_INVALID, "%s", bad[i]);
        cr_expect_eq(rows, 77);
        cr_expect_not_null(strstr(err.text, "from 1 to 10"), "%s", err.text);
        options_free(o);
    }
}
