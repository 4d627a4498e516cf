/* Keys: who may ask. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file_watch.h"
#include "common/base/fs.h"
#include "common/http_server/api_gate.h"

static rt_status parse(const char *text, api_keys **out)
{
    return api_keys_parse(text, strlen(text), out, NULL);
}

Test(api_keys, allows_what_is_in_the_file_and_nothing_else)
{
    api_keys *keys = NULL;
    cr_assert_eq(parse("# ours\nalpha-1\r\n\nbeta\n", &keys), RT_OK);
    cr_expect(api_keys_allow(keys, "Bearer alpha-1"));
    cr_expect(api_keys_allow(keys, "bearer   beta"));
    static const char *const wrong[] = {"Bearer",          "Bearer ",      "Bearer alpha",
                                        "Bearer alpha-12", "alpha-1",      "Basic beta",
                                        "Bearer # ours",   "Bearer beta ", ""};
    for (size_t i = 0; i < RT_COUNT(wrong); i++) cr_expect(!api_keys_allow(keys, wrong[i]));
    cr_expect(!api_keys_allow(keys, NULL));
    api_keys_free(keys);
}

Test(api_keys, refuses_a_file_that_would_lock_everyone_out_or_surprise)
{
    api_keys *keys = NULL;
    cr_expect_eq(parse("", &keys), RT_INVALID);
    cr_expect_eq(parse("# nothing\n\n", &keys), RT_INVALID);
    cr_expect_eq(parse("two words\n", &keys), RT_INVALID);
    cr_expect_eq(parse("key \n", &keys), RT_INVALID);
    cr_expect_eq(api_keys_load("/nonexistent/keys", &keys, NULL), RT_NOTFOUND);
    cr_expect_null(keys);
}

static void write_keys(const char *path, const char *text)
{
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
}

Test(api_gate, takes_up_a_changed_file_and_keeps_the_keys_of_a_broken_one)
{
    char folder[] = "/tmp/retort-gate-XXXXXX", path[64];
    api_gate *gate = NULL;
    rt_buf first = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
    cr_expect_eq(api_gate_open(path, &gate, NULL), RT_NOTFOUND);
    write_keys(path, "# of the dashboard\n\nalpha\nbeta\n");
    cr_assert_eq(api_gate_open(path, &gate, NULL), RT_OK);
    cr_assert_eq(api_keys_first(path, &first, NULL), RT_OK);
    cr_expect_str_eq(first.data, "Bearer alpha");
    cr_expect(api_gate_allows(gate, first.data));
    cr_expect_not(api_gate_allows(gate, "Bearer gamma"));
    write_keys(path, "gamma\n");
    while (!api_gate_allows(gate, "Bearer gamma")) rt_sleep_ms(10); /* CTest has the patience */
    cr_expect_not(api_gate_allows(gate, "Bearer alpha"));
    write_keys(path, "two words\n");
    rt_sleep_ms(FILE_WATCH_EVERY_MS + 100);
    cr_expect(api_gate_allows(gate, "Bearer gamma"));
    cr_expect_geq(api_gate_refused(gate), 2);
    api_gate_close(gate);
    rt_buf_free(&first);
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}
