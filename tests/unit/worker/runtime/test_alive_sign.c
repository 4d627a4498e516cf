#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "tests/support/temp_folder.h"
#include "worker/runtime/alive_sign.h"

static const alive_limits ready = {
    .beat_max_ms = 3000, .work_max_ms = 60000, .heard_max_ms = 10000};

Test(alive_sign, comes_back_from_its_file_as_it_was)
{
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "alive");
    const alive_sign sign = {.beat_ms = 8123450, .turn_ms = 8123100, .heard_ms = UINT64_MAX};
    alive_sign back = {0};
    rt_error err = {0};
    for (int i = 0; i < 2; i++) /* the second time over the first */
        cr_assert_eq(alive_sign_write(path, &sign, &err), RT_OK, "%s", err.text);
    cr_assert_eq(alive_sign_read(path, &back, &err), RT_OK, "%s", err.text);
    cr_expect_eq(back.beat_ms, sign.beat_ms);
    cr_expect_eq(back.turn_ms, sign.turn_ms);
    cr_expect_eq(back.heard_ms, sign.heard_ms);
    temp_folder_free(folder);
}

Test(alive_sign, names_the_file_that_cannot_be_written_or_read)
{
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "no/such/folder");
    alive_sign sign = {0};
    rt_error err = {0};
    cr_expect_eq(alive_sign_write(path, &sign, &err), RT_IO);
    cr_expect(strstr(err.text, path) != NULL, "%s", err.text);
    cr_expect_eq(alive_sign_read(path, &sign, &err), RT_NOTFOUND);
    temp_folder_free(folder);
}

Test(alive_sign, refuses_every_text_that_is_not_whole)
{
    static const char whole[] = "retort-alive 1 beat_ms=3 turn_ms=2 heard_ms=0\n";
    static const char *const bad[] = {
        "retort-alive 2 beat_ms=3 turn_ms=2 heard_ms=0\n",
        "retort-alive 1 beat_ms=-3 turn_ms=2 heard_ms=0\n",
        "retort-alive 1 beat_ms=3 turn_ms=2 heard_ms=99999999999999999999999\n",
        "retort-alive 1 beat_ms= turn_ms=2 heard_ms=0\n",
        "retort-alive 1 beat_ms=3 turn_ms=2 heard_ms=0\nmore",
        "something else",
    };
    alive_sign sign = {.beat_ms = 7};
    rt_error err = {0};
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char cut[sizeof whole];
        memcpy(cut, whole, n);
        cr_assert_lt(n, sizeof cut);
        cut[n] = '\0';
        cr_expect_eq(alive_sign_parse(cut, &sign, &err), RT_CORRUPT, "cut after %zu", n);
    }
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        cr_expect_eq(alive_sign_parse(bad[i], &sign, &err), RT_CORRUPT, "%s", bad[i]);
    cr_expect_eq(sign.beat_ms, 7, "nothing is written on failure");
    cr_expect_eq(alive_sign_parse(whole, &sign, &err), RT_OK);
}

typedef struct judged {
    alive_sign sign;
    uint64_t now_ms, heard_max_ms;
    rt_status status;
    char why[48];
} judged;

ParameterizedTestParameters(alive_sign, is_judged_by_the_age_of_each_time)
{
    static judged cases[] = {
        {{100000, 99000, 98000}, 101000, 10000, RT_OK, ""},
        {{100000, 99000, 98000}, 104000, 10000, RT_TIMEOUT, "last sign of life is 4000 ms old"},
        {{100000, 30000, 98000}, 100500, 10000, RT_TIMEOUT, "has not turned for 70500 ms"},
        {{100000, 99000, 80000}, 100500, 10000, RT_TIMEOUT, "last heard 20500 ms ago"},
        {{100000, 99000, 0}, 100500, 10000, RT_TIMEOUT, "has not answered yet"},
        {{100000, 99000, 0}, 100500, 0, RT_OK, "liveness asks for nobody else"},
        {{100000, 99000, 98000},
         50000,
         10000,
         RT_TIMEOUT,
         "last sign of life"}, /* of another start */
    };
    return cr_make_param_array(judged, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(judged *c, alive_sign, is_judged_by_the_age_of_each_time)
{
    alive_limits limits = ready;
    rt_error err = {0};
    limits.heard_max_ms = c->heard_max_ms;
    cr_expect_eq(alive_sign_judge(&c->sign, c->now_ms, &limits, &err), c->status, "%s", c->why);
    if (c->status != RT_OK) cr_expect(strstr(err.text, c->why) != NULL, "%s", err.text);
}
