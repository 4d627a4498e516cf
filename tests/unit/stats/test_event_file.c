#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/stats/event_file.h"
#include "tests/support/temp_folder.h"

static char *place;
static char name[300]; /* of the last file found */

/* Event files in the folder. */
static unsigned count_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(place);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, "events.out.tfevents.", 20) == 0) {
            snprintf(name, sizeof name, "%s", e->d_name);
            n++;
        }
    closedir(d);
    return n;
}

static event_file *begin(void)
{
    event_file *f = NULL;
    place = temp_folder_new();
    cr_assert_eq(event_file_new(place, &f, NULL), RT_OK);
    return f;
}

static void end(event_file *f)
{
    event_file_free(f);
    temp_folder_free(place);
}

/* Worked out by hand from the formats: the Event of step 3 with "a" = 0.5, in its frame. */
Test(event_file, writes_the_bytes_that_the_formats_ask_for)
{
    static const unsigned char body[] = {0x09, 0,  0,    0,    0,
                                         0,    0,  0xF0, 0x41,        /* 1: 2^32 seconds */
                                         0x10, 3,                     /* 2: step 3 */
                                         0x2A, 10,                    /* 5: scalars */
                                         0x0A, 8,                     /* 1: a value */
                                         0x0A, 1,  'a',               /* 1: tag */
                                         0x15, 0,  0,    0,    0x3F}; /* 2: 0.5f */
    event_file *f = begin();
    rt_buf all = {0};
    event_scalar one = {"a", 0.5};
    cr_assert_eq(event_file_add(f, 3, 4294967296.0, &one, 1, NULL), RT_OK);
    cr_assert_eq(count_files(), 1);
    temp_folder_read(place, name, &all);
    size_t n_first = 16 + 9 + 15; /* time, and a text of 13 bytes */
    cr_assert_eq(all.n, n_first + 16 + sizeof body);
    cr_expect_arr_eq(all.data + 12 + 9,
                     "\x1A\x0D"
                     "brain.Event:2",
                     15);
    cr_expect_arr_eq(all.data + n_first + 12, body, sizeof body);
    cr_expect_arr_eq(all.data + n_first, "\x17\0\0\0\0\0\0\0", 8);
    rt_buf_free(&all);
    end(f);
}

Test(event_file, makes_no_file_before_there_is_something_to_write)
{
    event_file *f = begin();
    event_scalar none[] = {{"a", NAN}, {"b", INFINITY}};
    cr_assert_eq(event_file_add(f, 1, 1e9, none, 2, NULL), RT_OK);
    cr_expect_eq(count_files(), 0);
    end(f);
}

Test(event_file, a_zero_is_a_value)
{
    event_file *f = begin();
    rt_buf all = {0};
    event_scalar zero = {"a", 0};
    cr_assert_eq(event_file_add(f, 1, 1e9, &zero, 1, NULL), RT_OK);
    cr_assert_eq(count_files(), 1);
    temp_folder_read(place, name, &all);
    cr_expect_arr_eq(all.data + all.n - 4 - 5, "\x15\0\0\0\0", 5);
    rt_buf_free(&all);
    end(f);
}

Test(event_file, each_start_has_a_file_of_its_own)
{
    event_file *first = begin(), *second = NULL;
    event_scalar one = {"a", 1};
    cr_assert_eq(event_file_new(place, &second, NULL), RT_OK);
    cr_assert_eq(event_file_add(first, 1, 1e9, &one, 1, NULL), RT_OK);
    cr_assert_eq(event_file_add(second, 2, 1e9, &one, 1, NULL), RT_OK);
    cr_expect_eq(count_files(), 2, "of the same second and process");
    event_file_free(second);
    end(first);
}

Test(event_file, a_folder_that_cannot_be_made_is_an_error_and_may_come_later)
{
    event_file *f = begin(), *inside = NULL;
    rt_error err = {0};
    event_scalar one = {"a", 1};
    temp_folder_write_text(place, "taken", "a file\n");
    cr_assert_eq(event_file_new(temp_folder_path(place, "taken"), &inside, NULL), RT_OK);
    cr_expect_neq(event_file_add(inside, 1, 1e9, &one, 1, &err), RT_OK);
    cr_expect_not_null(strstr(err.text, "taken"), "%s", err.text);
    cr_assert_eq(remove(temp_folder_path(place, "taken")), 0);
    cr_expect_eq(event_file_add(inside, 2, 1e9, &one, 1, NULL), RT_OK);
    event_file_free(inside);
    end(f);
}
