#include "coordinator/run_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static char *place;

static void make_place(void)
{
    place = temp_folder_new();
}

static void drop_place(void)
{
    temp_folder_free(place);
}

TestSuite(run_folder, .init = make_place, .fini = drop_place);

static config *settings_of(const char *more)
{
    config *c = NULL;
    char run_dir[256];
    rt_error err = {0};
    snprintf(run_dir, sizeof run_dir, "run_dir=%s/run", place);
    const char *sets[] = {run_dir, more, NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &c, &err), RT_OK, "%s", err.text);
    return c;
}

Test(run_folder, a_look_leaves_nothing_behind)
{
    run_folder folder;
    config *c = settings_of(NULL);
    cr_assert_eq(run_folder_look(c, &folder, NULL), RT_OK);
    cr_expect(folder.is_new);
    cr_expect_not(rt_fs_exists(folder.path));
    config_free(c);
}

Test(run_folder, a_look_sees_who_is_there_and_what_was_begun)
{
    run_folder held, folder;
    rt_error err = {0};
    config *c = settings_of(NULL), *other = settings_of("seed=9"), *same = settings_of("threads=2");
    cr_assert_eq(run_folder_open(c, &held, NULL), RT_OK);
    cr_expect_eq(run_folder_look(c, &folder, &err), RT_EXISTS);
    cr_expect(strstr(err.text, "has a coordinator already (process ") != NULL, "%s", err.text);
    run_folder_close(&held);
    cr_expect_eq(run_folder_look(same, &folder, &err), RT_OK, "%s", err.text);
    cr_expect_not(folder.is_new);
    cr_expect_eq(run_folder_look(other, &folder, &err), RT_INVALID);
    cr_expect(strstr(err.text, "begun with other settings") != NULL, "%s", err.text);
    cr_assert_eq(run_folder_open(c, &held, NULL), RT_OK, "a look holds no lock");
    run_folder_close(&held);
    config_free(c);
    config_free(other);
    config_free(same);
}
