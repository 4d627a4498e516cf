#include "common/cache/answer_cache.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static rt_id key_of(int i)
{
    return rt_id_of(&i, sizeof i);
}

static answer_cache *open_cache(const char *folder)
{
    answer_cache *c = NULL;
    rt_error err = {0};
    cr_assert_eq(answer_cache_open(folder, &c, &err), RT_OK, "%s", err.text);
    return c;
}

static void put(answer_cache *c, int i, const char *text)
{
    rt_error err = {0};
    cr_assert_eq(answer_cache_put(c, key_of(i), text, strlen(text), &err), RT_OK, "%s", err.text);
}

/* The value of key i is `text`; NULL: there is none. */
static void expect(answer_cache *c, int i, const char *text)
{
    rt_buf found = {0};
    rt_status st = answer_cache_get(c, key_of(i), &found, NULL);
    cr_expect_eq(st, text == NULL ? RT_NOTFOUND : RT_OK, "key %d: %s", i, rt_status_name(st));
    if (st == RT_OK && text != NULL) {
        cr_expect_eq(found.n, strlen(text));
        cr_expect_eq(memcmp(found.data, text, found.n), 0, "key %d", i);
    }
    rt_buf_free(&found);
}

static const char *file_of(const char *folder, int i)
{
    char hex[RT_ID_HEX_SIZE], name[64];
    rt_id_to_hex(key_of(i), hex);
    snprintf(name, sizeof name, "%.2s/%.2s/%s", hex, hex + 2, hex);
    return temp_folder_path(folder, name);
}

static size_t n_files;
static int count_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)path;
    (void)info;
    (void)walk;
    n_files += kind == FTW_F;
    return 0;
}

static size_t count_files(const char *folder)
{
    n_files = 0;
    cr_assert_eq(nftw(folder, count_file, 16, FTW_PHYS), 0);
    return n_files;
}

Test(answer_cache, keeps_values_over_closing_and_opening)
{
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(temp_folder_path(folder, "a/b"));
    expect(c, 1, NULL);
    put(c, 1, "one");
    put(c, 2, "");
    expect(c, 1, "one");
    answer_cache_close(c);
    c = open_cache(temp_folder_path(folder, "a/b"));
    expect(c, 1, "one");
    expect(c, 2, "");
    expect(c, 3, NULL);
    answer_cache_counts n = answer_cache_get_counts(c);
    cr_expect_eq(n.n_hits, 2);
    cr_expect_eq(n.n_misses, 1);
    cr_expect_eq(n.n_puts, 0);
    answer_cache_close(c);
    temp_folder_free(folder);
}

Test(answer_cache, keeps_the_first_write_and_leaves_nothing_else_behind)
{
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(folder);
    put(c, 1, "first");
    put(c, 1, "second");
    expect(c, 1, "first");
    cr_expect_eq(count_files(folder), 1);
    answer_cache_close(c);
    temp_folder_free(folder);
}

Test(answer_cache, forgets_one_value_and_takes_another_in_its_place)
{
    rt_error err = {0};
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(folder);
    put(c, 1, "first");
    put(c, 2, "stays");
    cr_expect_eq(answer_cache_remove(c, key_of(1), &err), RT_OK, "%s", err.text);
    expect(c, 1, NULL);
    expect(c, 2, "stays");
    cr_expect_eq(answer_cache_remove(c, key_of(1), &err), RT_NOTFOUND);
    put(c, 1, "second");
    expect(c, 1, "second");
    answer_cache_close(c);
    temp_folder_free(folder);
}

Test(answer_cache, takes_binary_values_and_refuses_too_long_ones)
{
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(folder);
    rt_buf found = {0};
    cr_assert_eq(answer_cache_put(c, key_of(1), "a\0b\n", 4, NULL), RT_OK);
    cr_assert_eq(answer_cache_get(c, key_of(1), &found, NULL), RT_OK);
    cr_expect_eq(found.n, 4);
    cr_expect_eq(memcmp(found.data, "a\0b\n", 4), 0);
    rt_error err = {0};
    char *large = calloc(1, ANSWER_CACHE_BYTES_MAX + 1);
    cr_assert_not_null(large);
    cr_expect_eq(answer_cache_put(c, key_of(2), large, ANSWER_CACHE_BYTES_MAX + 1, &err), RT_FULL);
    cr_expect(strstr(err.text, "at most") != NULL);
    cr_expect_eq(answer_cache_put(c, key_of(2), large, ANSWER_CACHE_BYTES_MAX, &err), RT_OK);
    cr_expect_eq(answer_cache_get(c, key_of(2), &found, NULL), RT_OK);
    free(large);
    rt_buf_free(&found);
    answer_cache_close(c);
    temp_folder_free(folder);
}

Test(answer_cache, counts_and_removes_a_value_cut_at_any_byte)
{
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(folder);
    put(c, 1, "an answer");
    struct stat info;
    cr_assert_eq(stat(file_of(folder, 1), &info), 0);
    for (off_t n = 0; n < info.st_size; n++) {
        cr_assert_eq(truncate(file_of(folder, 1), n), 0);
        expect(c, 1, NULL);
        cr_expect_not(rt_fs_exists(file_of(folder, 1)));
        put(c, 1, "an answer");
    }
    expect(c, 1, "an answer");
    cr_expect_eq(answer_cache_get_counts(c).n_damaged, (uint64_t)info.st_size);
    answer_cache_close(c);
    temp_folder_free(folder);
}

Test(answer_cache, writes_over_a_damaged_value_that_nobody_read)
{
    char *folder = temp_folder_new();
    answer_cache *c = open_cache(folder);
    put(c, 1, "an answer");
    cr_assert_eq(truncate(file_of(folder, 1), 10), 0);
    put(c, 1, "the answer");
    expect(c, 1, "the answer");
    cr_expect_eq(answer_cache_get_counts(c).n_damaged, 1);
    cr_expect_eq(count_files(folder), 1);
    answer_cache_close(c);
    temp_folder_free(folder);
}

/* Each child writes all keys with its own text, readers look on; every value stays whole, and is
 * what one of them wrote first. */
Test(answer_cache, is_shared_by_processes_that_write_at_once)
{
    enum { N_CHILDREN = 4, N_KEYS = 200 };
    char *folder = temp_folder_new();
    pid_t children[N_CHILDREN];
    for (int k = 0; k < N_CHILDREN; k++) {
        children[k] = fork();
        cr_assert_geq(children[k], 0);
        if (children[k] != 0) continue;
        answer_cache *own = NULL;
        rt_buf found = {0};
        char text[64];
        bool good = answer_cache_open(folder, &own, NULL) == RT_OK;
        for (int i = 0; good && i < N_KEYS; i++) {
            snprintf(text, sizeof text, "key %d", i);
            good = answer_cache_put(own, key_of(i), text, strlen(text), NULL) == RT_OK &&
                   answer_cache_get(own, key_of(i), &found, NULL) == RT_OK &&
                   strcmp(found.data, text) == 0;
        }
        good = good && answer_cache_get_counts(own).n_damaged == 0;
        _exit(good ? 0 : 1);
    }
    for (int k = 0; k < N_CHILDREN; k++) {
        int status = -1;
        cr_assert_eq(waitpid(children[k], &status, 0), children[k]);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: %x", k, status);
    }
    cr_expect_eq(count_files(folder), N_KEYS);
    temp_folder_free(folder);
}

Test(answer_cache, sweeps_what_killed_writers_left_and_spares_the_living)
{
    char *folder = temp_folder_new();
    answer_cache_close(open_cache(folder));
    temp_folder_write_text(folder, "tmp/1-2-3", "old");
    temp_folder_write_text(folder, "tmp/4-5-6", "new");
    struct timespec old[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    cr_assert_eq(utimensat(AT_FDCWD, temp_folder_path(folder, "tmp/1-2-3"), old, 0), 0);
    answer_cache_close(open_cache(folder));
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "tmp/1-2-3")));
    cr_expect(rt_fs_exists(temp_folder_path(folder, "tmp/4-5-6")));
    temp_folder_free(folder);
}

Test(answer_cache, says_what_to_do_when_the_folder_cannot_be_made)
{
    char *folder = temp_folder_new();
    rt_error err = {0};
    answer_cache *c = NULL;
    temp_folder_write_text(folder, "file", "not a folder");
    cr_expect_eq(answer_cache_open(temp_folder_path(folder, "file"), &c, &err), RT_IO);
    cr_expect_null(c);
    cr_expect(strstr(err.text, "cannot be written") != NULL, "%s", err.text);
    cr_expect(strstr(err.text, "cache.dir: off") != NULL, "%s", err.text);
    temp_folder_free(folder);
}

Test(answer_cache, says_why_a_value_cannot_be_written)
{
    char *folder = temp_folder_new();
    rt_error err = {0};
    answer_cache *c = open_cache(folder);
    cr_assert_eq(rt_fs_remove_tree(temp_folder_path(folder, "tmp"), NULL), RT_OK);
    cr_expect_eq(answer_cache_put(c, key_of(1), "x", 1, &err), RT_IO);
    cr_expect(strstr(err.text, "tmp") != NULL, "%s", err.text);
    answer_cache_close(c);
    temp_folder_free(folder);
}
