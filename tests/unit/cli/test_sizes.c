#include <criterion/criterion.h>
#include <string.h>

#include "cli/sizes.h"

Test(sizes, are_read_as_people_write_them)
{
    static const struct {
        const char *text;
        uint64_t n;
    } cases[] = {{"0", 0},
                 {"1000", 1000},
                 {"5GB", 5000000000},
                 {"500mb", 500000000},
                 {"64KiB", 65536},
                 {"2 GiB", (uint64_t)2 << 30},
                 {"7B", 7},
                 {"1tb", 1000000000000}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        uint64_t n = 99;
        cr_expect_eq(size_parse(cases[i].text, &n, NULL), RT_OK, "%s", cases[i].text);
        cr_expect_eq(n, cases[i].n, "%s", cases[i].text);
    }
}

Test(sizes, what_is_no_size_is_refused_and_writes_nothing)
{
    static const char *const bad[] = {"",
                                      "GB",
                                      "-1",
                                      "1.5GB",
                                      "5XB",
                                      "5  GB",
                                      "5GBs",
                                      "99999999999999999999999999",
                                      "18446744073709551615TB"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        uint64_t n = 99;
        rt_error err = {0};
        cr_expect_eq(size_parse(bad[i], &n, &err), RT_INVALID, "%s", bad[i]);
        cr_expect_eq(n, 99);
        cr_expect_not_null(strstr(err.text, "5GB"), "%s", err.text);
    }
}

Test(sizes, are_printed_with_three_digits)
{
    static const struct {
        double n;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1536, "1.50 KiB"},
                 {20 * 1048576.0, "20.0 MiB"},
                 {300 * 1048576.0, "300 MiB"},
                 {3e9, "2.79 GiB"}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char text[24];
        size_print(cases[i].n, text);
        cr_expect_str_eq(text, cases[i].text);
    }
}
