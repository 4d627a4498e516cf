#include "cli/doctor/place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
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

TestSuite(doctor_place, .init = make_folder, .fini = drop_folder);

Test(doctor_place, a_folder_that_is_not_there_is_looked_for_above)
{
    place p;
    rt_error err = {0};
    char path[400];
    cr_assert_eq(place_look(folder, &p, &err), RT_OK, "%s", err.text);
    cr_expect(p.exists);
    cr_expect_gt(p.n_free, 0);
    snprintf(path, sizeof path, "%s/a/b//c/", folder);
    cr_assert_eq(place_look(path, &p, &err), RT_OK, "%s", err.text);
    cr_expect_not(p.exists);
    cr_expect_str_eq(p.folder, folder);
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "a")), "nothing is made");
    cr_expect_eq(place_look("no-such-folder/here", &p, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(p.folder, ".");
}

Test(doctor_place, a_file_in_the_way_is_named)
{
    place p;
    rt_error err = {0};
    char path[400];
    temp_folder_write_text(folder, "file", "x");
    cr_expect_eq(place_look(temp_folder_path(folder, "file"), &p, &err), RT_IO);
    snprintf(path, sizeof path, "%s/file/run", folder);
    cr_expect_eq(place_look(path, &p, &err), RT_IO);
    cr_expect(strstr(err.text, "/file: is in the way") != NULL, "%s", err.text);
}

Test(doctor_place, bytes_are_those_of_all_files)
{
    char bytes[10000];
    memset(bytes, 7, sizeof bytes);
    cr_assert_eq(rt_fs_mkdirs(temp_folder_path(folder, "a"), NULL), RT_OK);
    cr_expect_eq(place_bytes(folder), 0);
    temp_folder_write(folder, "a/x", bytes, sizeof bytes);
    temp_folder_write(folder, "y", bytes, sizeof bytes);
    uint64_t n = place_bytes(folder);
    cr_expect(n >= 2 * sizeof bytes && n < 20 * sizeof bytes, "%zu", (size_t)n);
    cr_expect_eq(place_bytes(temp_folder_path(folder, "none")), 0);
}
