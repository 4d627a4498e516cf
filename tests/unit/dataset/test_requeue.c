#include "common/dataset/requeue.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static rt_id id_of(int i)
{
    return rt_id_of(&i, sizeof i);
}

/* Every odd record is rejected; of those, every third for the first reason. */
static void fill(const char *folder, int n)
{
    archive *a = NULL;
    cr_assert_eq(archive_open(folder, &a, NULL), RT_OK);
    for (int i = 0; i < n; i++) {
        char input[32], label[16];
        snprintf(input, sizeof input, "question %d", i);
        snprintf(label, sizeof label, "%d", i);
        label_record r = {.id = id_of(i), .input = input};
        if (i % 2 == 0) r.label = label;
        if (i % 2 == 1) r.reason = i % 3 == 0 ? "no_marker" : "truncated";
        cr_assert_eq(archive_append(a, &r, NULL), RT_OK);
    }
    cr_assert_eq(archive_sync(a, NULL), RT_OK);
    archive_close(a);
}

static requeue_result requeue(const char *folder, const char *reason)
{
    requeue_result done = {0};
    rt_error err = {0};
    cr_assert_eq(archive_requeue(folder, reason, &done, &err), RT_OK, "%s", err.text);
    return done;
}

static void expect_counts(const char *folder, uint64_t n_labelled, uint64_t n_rejected)
{
    archive *a = NULL;
    rt_error err = {0};
    cr_assert_eq(archive_open(folder, &a, &err), RT_OK, "%s", err.text);
    cr_expect_eq(archive_n_labelled(a), n_labelled);
    cr_expect_eq(archive_n_rejected(a), n_rejected, "%d", (int)archive_n_rejected(a));
    archive_close(a);
}

static size_t n_lines(const char *folder, const char *name)
{
    rt_buf text = {0};
    size_t n = 0;
    temp_folder_read(folder, name, &text);
    for (size_t i = 0; i < text.n; i++) n += text.data[i] == '\n';
    rt_buf_free(&text);
    return n;
}

Test(requeue, takes_every_rejected_record_out_and_keeps_it_beside)
{
    char *folder = temp_folder_new();
    fill(folder, 12);
    requeue_result done = requeue(folder, NULL);
    cr_expect_eq(done.n_requeued, 6);
    cr_expect_eq(done.n_kept, 0);
    expect_counts(folder, 6, 0);
    cr_expect_eq(n_lines(folder, "rejected.jsonl.requeued-1"), 6);
    cr_expect_str_eq(done.kept_in, temp_folder_path(folder, "rejected.jsonl.requeued-1"));
    temp_folder_free(folder);
}

Test(requeue, takes_those_of_one_reason_and_leaves_the_others_as_they_were)
{
    char *folder = temp_folder_new();
    rt_buf before = {0}, after = {0};
    fill(folder, 12);
    temp_folder_read(folder, "rejected.jsonl", &before);
    requeue_result done = requeue(folder, "no_marker");
    cr_expect_eq(done.n_requeued, 2);
    cr_expect_eq(done.n_kept, 4);
    expect_counts(folder, 6, 4);
    temp_folder_read(folder, "rejected.jsonl", &after);
    for (char *line = strtok(after.data, "\n"); line != NULL; line = strtok(NULL, "\n"))
        cr_expect(strstr(before.data, line) != NULL && strstr(line, "truncated") != NULL);
    rt_buf_free(&before);
    rt_buf_free(&after);
    temp_folder_free(folder);
}

Test(requeue, does_nothing_when_there_is_nothing_to_take)
{
    char *folder = temp_folder_new();
    fill(folder, 12);
    requeue_result done = requeue(folder, "no_such_reason");
    cr_expect_eq(done.n_requeued, 0);
    cr_expect_eq(done.n_kept, 6);
    cr_expect_str_eq(done.kept_in, "");
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "rejected.jsonl.requeued-1")));
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "rejected.jsonl.tmp")));
    expect_counts(folder, 6, 6);
    temp_folder_free(folder);
}

Test(requeue, numbers_what_it_keeps_and_lets_a_record_come_again)
{
    char *folder = temp_folder_new();
    archive *a = NULL;
    fill(folder, 12);
    requeue(folder, "no_marker");
    label_record again = {.id = id_of(3), .input = "question 3", .label = "3"};
    cr_assert_eq(archive_open(folder, &a, NULL), RT_OK);
    cr_expect_eq(archive_find(a, id_of(3)), ARCHIVE_ABSENT);
    cr_expect_eq(archive_append(a, &again, NULL), RT_OK);
    archive_close(a);
    expect_counts(folder, 7, 4);
    requeue(folder, NULL);
    expect_counts(folder, 7, 0);
    cr_expect_eq(n_lines(folder, "rejected.jsonl.requeued-1"), 2);
    cr_expect_eq(n_lines(folder, "rejected.jsonl.requeued-2"), 4);
    temp_folder_free(folder);
}

/* A later line of an id does not count, and must not come back to life; one of a labelled id stays
 * where it is. */
Test(requeue, takes_the_repeats_of_a_record_with_it)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    label_record r[] = {
        {.id = id_of(1), .input = "one", .reason = "no_marker"},
        {.id = id_of(1), .input = "one", .reason = "truncated"},
        {.id = id_of(2), .input = "two", .reason = "truncated"},
        {.id = id_of(2), .input = "two", .reason = "no_marker"},
        {.id = id_of(3), .input = "three", .reason = "no_marker"},
    };
    label_record labelled = {.id = id_of(3), .input = "three", .label = "3"};
    for (size_t i = 0; i < RT_COUNT(r); i++)
        cr_assert_eq(label_record_to_json(&r[i], &lines, NULL), RT_OK);
    temp_folder_write(folder, "rejected.jsonl", lines.data, lines.n);
    rt_buf_clear(&lines);
    cr_assert_eq(label_record_to_json(&labelled, &lines, NULL), RT_OK);
    temp_folder_write(folder, "labels.jsonl", lines.data, lines.n);
    requeue_result done = requeue(folder, "no_marker");
    cr_expect_eq(done.n_requeued, 1);
    cr_expect_eq(done.n_kept, 1);
    expect_counts(folder, 1, 1);
    cr_expect_eq(n_lines(folder, "rejected.jsonl"), 3);
    cr_expect_eq(n_lines(folder, "rejected.jsonl.requeued-1"), 2);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

/* As after a crash behind the copy and before the rename: both files hold the records. */
Test(requeue, can_be_repeated_after_a_crash_in_its_middle)
{
    char *folder = temp_folder_new();
    rt_buf rejected = {0};
    fill(folder, 12);
    temp_folder_read(folder, "rejected.jsonl", &rejected);
    temp_folder_write(folder, "rejected.jsonl.requeued-1", rejected.data, rejected.n);
    temp_folder_write_text(folder, "rejected.jsonl.tmp", "half a li");
    temp_folder_write_text(folder, "rejected.jsonl.requeued-2.tmp", "half a li");
    expect_counts(folder, 6, 6);
    requeue_result done = requeue(folder, NULL);
    cr_expect_eq(done.n_requeued, 6);
    expect_counts(folder, 6, 0);
    cr_expect_eq(n_lines(folder, "rejected.jsonl.requeued-2"), 6);
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "rejected.jsonl.tmp")));
    rt_buf_free(&rejected);
    temp_folder_free(folder);
}

Test(requeue, changes_nothing_when_the_disk_is_full)
{
    char *folder = temp_folder_new();
    rt_error err = {0};
    requeue_result done = {0};
    struct rlimit old, small = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    fill(folder, 40);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    rt_status st = archive_requeue(folder, NULL, &done, &err);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_expect_eq(st, RT_IO, "%s", err.text);
    cr_expect_eq(done.n_requeued, 0);
    expect_counts(folder, 20, 20);
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "rejected.jsonl.requeued-1")));
    temp_folder_free(folder);
}

Test(requeue, refuses_a_dataset_that_somebody_writes_or_that_is_not_there)
{
    char *folder = temp_folder_new();
    archive *a = NULL;
    rt_error err = {0};
    requeue_result done = {0};
    fill(folder, 12);
    cr_assert_eq(archive_open(folder, &a, NULL), RT_OK);
    cr_expect_eq(archive_requeue(folder, NULL, &done, &err), RT_EXISTS);
    cr_expect(strstr(err.text, "in use") != NULL, "%s", err.text);
    archive_close(a);
    expect_counts(folder, 6, 6);
    cr_expect_eq(archive_requeue(temp_folder_path(folder, "no"), NULL, &done, NULL), RT_NOTFOUND);
    temp_folder_free(folder);
}
