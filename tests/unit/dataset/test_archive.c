#include "common/dataset/archive.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

static rt_id id_of(int i)
{
    return rt_id_of(&i, sizeof i);
}

/* Record i: every fifth is rejected, every third has no rationale, every second has right gold. */
static label_record toy_record(int i)
{
    label_record r = {.id = id_of(i)};
    cr_assert_geq(asprintf(&r.input, "質問 %d\n?", i), 0);
    if (i % 5 == 4) {
        r.reason = strdup(i % 2 == 0 ? "no_marker" : "truncated");
        r.raw = strdup("わからない");
        return r;
    }
    cr_assert_geq(asprintf(&r.label, "%d", i), 0);
    if (i % 3 != 0) r.rationale = strdup("Because.");
    if (i % 2 == 0) r.gold = strdup(i % 4 == 0 ? r.label : "other");
    return r;
}

static rt_status append(archive *a, int i)
{
    label_record r = toy_record(i);
    rt_status st = archive_append(a, &r, NULL);
    label_record_free(&r);
    return st;
}

static archive *open_archive(const char *folder)
{
    archive *a = NULL;
    rt_error err = {0};
    cr_assert_eq(archive_open(folder, &a, &err), RT_OK, "%s", err.text);
    return a;
}

static void fill(const char *folder, int n)
{
    archive *a = open_archive(folder);
    for (int i = 0; i < n; i++) cr_assert_eq(append(a, i), RT_OK);
    cr_assert_eq(archive_sync(a, NULL), RT_OK);
    archive_close(a);
}

static void expect_record(archive *a, int i)
{
    label_record expected = toy_record(i), found = {0};
    rt_error err = {0};
    cr_assert_eq(archive_read(a, id_of(i), &found, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(found.input, expected.input);
    if (expected.reason != NULL)
        cr_expect_str_eq(found.reason, expected.reason);
    else
        cr_expect_str_eq(found.label, expected.label);
    label_record_free(&expected);
    label_record_free(&found);
}

Test(archive, keeps_what_was_appended_over_closing_and_opening)
{
    char *folder = temp_folder_new();
    fill(folder, 20);
    archive *a = open_archive(folder);
    cr_expect_eq(archive_n_labelled(a), 16);
    cr_expect_eq(archive_n_rejected(a), 4);
    cr_expect_eq(archive_n_rationales(a), 10);
    cr_expect_eq(archive_n_gold(a), 8);
    cr_expect_eq(archive_n_gold_equal(a), 4);
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(archive_find(a, id_of(i)), i % 5 == 4 ? ARCHIVE_REJECTED : ARCHIVE_LABELLED);
        expect_record(a, i);
    }
    cr_expect_eq(archive_find(a, id_of(99)), ARCHIVE_ABSENT);
    label_record r = {0};
    cr_expect_eq(archive_read(a, id_of(99), &r, NULL), RT_NOTFOUND);
    archive_close(a);
    temp_folder_free(folder);
}

Test(archive, counts_reasons_and_folds_too_many_into_other)
{
    char *folder = temp_folder_new();
    archive *a = open_archive(folder);
    for (int i = 0; i < 2 * ARCHIVE_REASONS_MAX; i++) {
        label_record r = {.id = id_of(i), .input = strdup("i")};
        cr_assert_geq(asprintf(&r.reason, "reason_%03d", i), 0);
        cr_assert_eq(archive_append(a, &r, NULL), RT_OK);
        label_record_free(&r);
    }
    uint64_t n, total = 0;
    cr_assert_eq(archive_n_reasons(a), ARCHIVE_REASONS_MAX);
    for (size_t i = 0; i < ARCHIVE_REASONS_MAX; i++) {
        cr_assert_not_null(archive_reason(a, i, &n));
        total += n;
    }
    cr_expect_eq(total, 2 * ARCHIVE_REASONS_MAX);
    cr_expect_str_eq(archive_reason(a, ARCHIVE_REASONS_MAX - 1, &n), "other");
    cr_expect_eq(n, ARCHIVE_REASONS_MAX + 1);
    cr_expect_null(archive_reason(a, ARCHIVE_REASONS_MAX, &n));
    archive_close(a);
    temp_folder_free(folder);
}

Test(archive, first_write_wins_across_both_files)
{
    char *folder = temp_folder_new();
    fill(folder, 5);
    archive *a = open_archive(folder);
    label_record late = toy_record(0);
    free(late.label);
    late.label = strdup("later");
    cr_expect_eq(archive_append(a, &late, NULL), RT_EXISTS);
    late.reason = late.label;
    late.label = NULL;
    cr_expect_eq(archive_append(a, &late, NULL), RT_EXISTS, "a labelled one is not rejected later");
    label_record_free(&late);
    late = toy_record(0);
    late.id = id_of(4);
    cr_expect_eq(archive_append(a, &late, NULL), RT_EXISTS, "nor a rejected one labelled");
    label_record_free(&late);
    cr_expect_eq(archive_n_labelled(a) + archive_n_rejected(a), 5);
    expect_record(a, 0);
    archive_close(a);
    temp_folder_free(folder);
}

static rt_status count_visit(void *context, const label_record *r, rt_error *err)
{
    (void)r;
    (void)err;
    ++*(int *)context;
    return RT_OK;
}

Test(archive, repeated_lines_in_a_file_count_once)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    int n = 0;
    fill(folder, 4);
    temp_folder_read(folder, "labels.jsonl", &lines);
    size_t n_once = lines.n;
    cr_assert_eq(rt_buf_reserve(&lines, n_once, NULL), RT_OK);
    memcpy(lines.data + n_once, lines.data, n_once);
    temp_folder_write(folder, "labels.jsonl", lines.data, 2 * n_once);
    archive *a = open_archive(folder);
    cr_expect_eq(archive_n_labelled(a), 4);
    cr_expect_eq(archive_n_repeats(a), 4);
    cr_expect_eq(archive_scan(a, false, count_visit, &n, NULL), RT_OK);
    cr_expect_eq(n, 4);
    archive_close(a);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

static void expect_same_counts(archive *a, archive *b)
{
    cr_expect_eq(archive_n_labelled(a), archive_n_labelled(b));
    cr_expect_eq(archive_n_rejected(a), archive_n_rejected(b));
    cr_expect_eq(archive_n_rationales(a), archive_n_rationales(b));
    cr_expect_eq(archive_n_gold(a), archive_n_gold(b));
    cr_expect_eq(archive_n_gold_equal(a), archive_n_gold_equal(b));
}

/* Ids of the corpus have their places there; others come behind them. */
Test(archive, beside_a_corpus_it_holds_the_same_records)
{
    enum { N = 40 };
    char *folder = temp_folder_new();
    id_index corpus = {0};
    size_t place = 0;
    bool added = false;
    for (int i = 0; i < N; i++)
        cr_assert_eq(id_index_add(&corpus, id_of(N - 1 - i), &place, &added, NULL), RT_OK);
    archive_options options = {.corpus = &corpus};
    archive *a = NULL, *plain = NULL;
    cr_assert_eq(archive_open_with(folder, &options, &a, NULL), RT_OK);
    for (int i = 0; i < 200; i += 2) cr_assert_eq(append(a, i), RT_OK); /* 20 of the corpus */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            if (i % 2 == 1)
                cr_expect_eq(archive_find(a, id_of(i)), ARCHIVE_ABSENT, "%d", i);
            else
                expect_record(a, i);
        }
        cr_expect_eq(append(a, 2), RT_EXISTS);
        cr_expect_eq(append(a, 120), RT_EXISTS);
        cr_assert_eq(archive_sync(a, NULL), RT_OK);
        cr_assert_eq(archive_open_read_only(folder, &plain, NULL), RT_OK);
        expect_same_counts(a, plain);
        archive_close(plain);
        archive_close(a);
        cr_assert_eq(archive_open_with(folder, &options, &a, NULL), RT_OK);
    }
    archive_close(a);
    id_index_free(&corpus);
    temp_folder_free(folder);
}

Test(archive, in_the_order_of_its_ids_each_still_has_its_record)
{
    char *folder = temp_folder_new();
    const id_index *ids = NULL;
    fill(folder, 50);
    archive *a = open_archive(folder);
    cr_assert_eq(archive_order_by_id(a, &ids, NULL), RT_OK);
    cr_assert_eq(ids->n, 50);
    for (size_t i = 1; i < ids->n; i++)
        cr_expect_lt(rt_id_compare(ids->ids[i - 1], ids->ids[i]), 0);
    for (int i = 0; i < 50; i++) expect_record(a, i);
    cr_assert_eq(append(a, 50), RT_OK);
    expect_record(a, 50);
    archive_close(a);
    temp_folder_free(folder);
}

/* A process killed in mid-write leaves any prefix of the file: whole lines stay, the torn one is
 * put aside, and the record can be appended again. */
Test(archive, recovers_when_cut_at_any_byte)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0}, now = {0};
    fill(folder, 4);
    temp_folder_read(folder, "labels.jsonl", &lines);
    for (size_t n = 0; n <= lines.n; n++) {
        uint64_t n_whole = 0;
        for (size_t i = 0; i < n; i++) n_whole += lines.data[i] == '\n';
        temp_folder_write(folder, "labels.jsonl", lines.data, n);
        archive *a = open_archive(folder);
        cr_assert_eq(archive_n_labelled(a), n_whole, "cut at %zu", n);
        bool torn = n > 0 && lines.data[n - 1] != '\n';
        cr_assert_eq(rt_fs_exists(temp_folder_path(folder, "labels.jsonl.torn-1")), torn);
        for (int i = 0; i < 4; i++)
            cr_assert_eq(append(a, i), (uint64_t)i < n_whole ? RT_EXISTS : RT_OK);
        archive_close(a);
        temp_folder_read(folder, "labels.jsonl", &now);
        cr_assert_eq(now.n, lines.n);
        cr_assert_eq(memcmp(now.data, lines.data, now.n), 0, "whole again");
        unlink(temp_folder_path(folder, "labels.jsonl.torn-1"));
    }
    rt_buf_free(&lines);
    rt_buf_free(&now);
    temp_folder_free(folder);
}

Test(archive, keeps_the_bytes_of_each_torn_tail)
{
    char *folder = temp_folder_new();
    rt_buf kept = {0};
    temp_folder_write_text(folder, "labels.jsonl", "{\"id\":\"0");
    archive_close(open_archive(folder));
    temp_folder_write(folder, "labels.jsonl", "\0\0\0", 3); /* a file system's unwritten tail */
    archive_close(open_archive(folder));
    temp_folder_read(folder, "labels.jsonl.torn-1", &kept);
    cr_expect_str_eq(kept.data, "{\"id\":\"0");
    temp_folder_read(folder, "labels.jsonl.torn-2", &kept);
    cr_expect_eq(kept.n, 3);
    rt_buf_free(&kept);
    temp_folder_free(folder);
}

Test(archive, a_corrupt_line_in_the_middle_is_named)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    archive *a = NULL;
    fill(folder, 4);
    temp_folder_read(folder, "labels.jsonl", &lines);
    char *second = strchr(lines.data, '\n') + 1;
    strstr(second, "\"label\":\"1\"")[9] = '7';
    temp_folder_write(folder, "labels.jsonl", lines.data, lines.n);
    rt_error err = {0};
    cr_expect_eq(archive_open(folder, &a, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "labels.jsonl:2:"), "%s", err.text);
    cr_expect_null(a);
    rt_error again = {0};
    cr_expect_eq(archive_open_read_only(folder, &a, &again), RT_CORRUPT);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

Test(archive, a_record_in_the_wrong_file_is_refused)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    archive *a = NULL;
    rt_error err = {0};
    fill(folder, 2);
    temp_folder_read(folder, "labels.jsonl", &lines);
    temp_folder_write(folder, "rejected.jsonl", lines.data, lines.n);
    cr_expect_eq(archive_open(folder, &a, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "rejected.jsonl:1"), "%s", err.text);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

Test(archive, a_second_writer_is_refused_and_told_who_has_it)
{
    char *folder = temp_folder_new(), pid[32];
    archive *a = open_archive(folder), *b = NULL;
    rt_error err = {0};
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    cr_expect_eq(archive_open(folder, &b, &err), RT_EXISTS);
    cr_expect_not_null(strstr(err.text, pid), "%s", err.text);
    cr_expect_null(b);
    archive_close(a);
    archive_close(open_archive(folder)); /* free again */
    temp_folder_free(folder);
}

Test(archive, readers_need_no_lock_and_repair_nothing)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    fill(folder, 4);
    temp_folder_read(folder, "labels.jsonl", &lines);
    archive *writer = open_archive(folder), *reader = NULL;
    temp_folder_write(folder, "labels.jsonl", lines.data, lines.n - 5);
    cr_assert_eq(archive_open_read_only(folder, &reader, NULL), RT_OK);
    cr_expect_eq(archive_n_labelled(reader), 3);
    cr_expect_eq(append(reader, 9), RT_INVALID);
    cr_expect_not(rt_fs_exists(temp_folder_path(folder, "labels.jsonl.torn-1")));
    archive_close(reader);
    archive_close(writer);
    rt_error err = {0};
    cr_expect_eq(archive_open_read_only(temp_folder_path(folder, "none"), &reader, &err),
                 RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, "none"), "%s", err.text);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

/* The limit on file size stands in for a full disk: write(2) takes a part, then refuses. */
Test(archive, a_full_disk_takes_nothing_and_appending_goes_on_when_there_is_room)
{
    char *folder = temp_folder_new();
    rt_buf before = {0}, after = {0};
    struct rlimit limit, old;
    fill(folder, 2);
    temp_folder_read(folder, "labels.jsonl", &before);
    archive *a = open_archive(folder);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = before.n + 10;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    label_record r = toy_record(2);
    rt_error err = {0};
    cr_expect_eq(archive_append(a, &r, &err), RT_IO);
    cr_expect_not_null(strstr(err.text, "labels.jsonl"), "%s", err.text);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_expect_eq(archive_find(a, r.id), ARCHIVE_ABSENT);
    temp_folder_read(folder, "labels.jsonl", &after);
    cr_expect_eq(after.n, before.n, "the partial line is taken back");
    cr_expect_eq(archive_append(a, &r, &err), RT_OK);
    expect_record(a, 2);
    label_record_free(&r);
    archive_close(a);
    a = open_archive(folder);
    cr_expect_eq(archive_n_labelled(a), 3);
    archive_close(a);
    rt_buf_free(&before);
    rt_buf_free(&after);
    temp_folder_free(folder);
}

Test(archive, reading_notices_damage_that_came_after_opening)
{
    char *folder = temp_folder_new();
    rt_buf lines = {0};
    label_record r = {0};
    rt_error err = {0};
    fill(folder, 3);
    archive *a = open_archive(folder);
    temp_folder_read(folder, "labels.jsonl", &lines);
    lines.data[60] ^= 1;
    temp_folder_write(folder, "labels.jsonl", lines.data, lines.n);
    cr_expect_eq(archive_read(a, id_of(0), &r, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "labels.jsonl"), "%s", err.text);
    expect_record(a, 1);
    temp_folder_write(folder, "labels.jsonl", lines.data, 10);
    cr_expect_eq(archive_read(a, id_of(1), &r, &err), RT_CORRUPT);
    archive_close(a);
    rt_buf_free(&lines);
    temp_folder_free(folder);
}

/* By hand: the definition in docs/dataset.md, spelled out. */
Test(archive, sha256_is_over_ids_labels_and_reasons_in_the_order_asked_for)
{
    char *folder = temp_folder_new();
    char hex[RT_SHA256_HEX_SIZE], expected[RT_SHA256_HEX_SIZE], id[3][RT_ID_HEX_SIZE];
    rt_id ids[] = {id_of(1), id_of(3), id_of(4), id_of(50)};
    rt_buf text = {0};
    fill(folder, 5);
    archive *a = open_archive(folder);
    for (int i = 0; i < 3; i++) rt_id_to_hex(ids[i], id[i]);
    char absent[RT_ID_HEX_SIZE];
    rt_id_to_hex(ids[3], absent);
    cr_assert_eq(rt_buf_printf(&text, NULL, "%sL1:18:Because.%sL1:3-%sR9:no_marker%s-", id[0],
                               id[1], id[2], absent),
                 RT_OK);
    rt_sha256_of(text.data, text.n, expected);
    cr_assert_eq(archive_sha256(a, ids, 4, hex, NULL), RT_OK);
    cr_expect_str_eq(hex, expected);
    archive_close(a);
    rt_buf_free(&text);
    temp_folder_free(folder);
}

Test(archive, sha256_does_not_depend_on_the_order_of_arrival)
{
    char *one = temp_folder_new(), *two = temp_folder_new();
    char hex[2][RT_SHA256_HEX_SIZE];
    rt_id ids[12];
    for (int i = 0; i < 12; i++) ids[i] = id_of(i);
    fill(one, 12);
    archive *a = open_archive(two);
    for (int i = 11; i >= 0; i--) cr_assert_eq(append(a, i), RT_OK);
    cr_assert_eq(archive_sha256(a, ids, 12, hex[0], NULL), RT_OK);
    archive_close(a);
    cr_assert_eq(archive_open_read_only(one, &a, NULL), RT_OK);
    cr_assert_eq(archive_sha256(a, ids, 12, hex[1], NULL), RT_OK);
    archive_close(a);
    cr_expect_str_eq(hex[0], hex[1]);
    temp_folder_free(one);
    temp_folder_free(two);
}

static rt_status stop_visit(void *context, const label_record *r, rt_error *err)
{
    (void)r;
    return ++*(int *)context == 2 ? rt_fail(err, RT_CANCELLED, "enough") : RT_OK;
}

Test(archive, scanning_goes_in_file_order_and_can_be_stopped)
{
    char *folder = temp_folder_new();
    int n = 0;
    fill(folder, 10);
    archive *a = open_archive(folder);
    cr_expect_eq(archive_scan(a, true, count_visit, &n, NULL), RT_OK);
    cr_expect_eq(n, 2);
    n = 0;
    cr_expect_eq(archive_scan(a, false, stop_visit, &n, NULL), RT_CANCELLED);
    cr_expect_eq(n, 2);
    archive_close(a);
    temp_folder_free(folder);
}

/* Lines longer than the scanner's block, so that a line spans several reads. */
Test(archive, long_records_come_back)
{
    char *folder = temp_folder_new();
    archive *a = open_archive(folder);
    size_t n = 1 << 20;
    for (int i = 0; i < 3; i++) {
        label_record r = toy_record(i + 1);
        free(r.rationale);
        r.rationale = malloc(n + 1);
        memset(r.rationale, 'a' + i, n);
        r.rationale[n] = '\0';
        cr_assert_eq(archive_append(a, &r, NULL), RT_OK);
        label_record_free(&r);
    }
    archive_close(a);
    a = open_archive(folder);
    for (int i = 0; i < 3; i++) {
        label_record r = {0};
        cr_assert_eq(archive_read(a, id_of(i + 1), &r, NULL), RT_OK);
        cr_expect_eq(strlen(r.rationale), n);
        cr_expect_eq(r.rationale[n - 1], 'a' + i);
        label_record_free(&r);
    }
    archive_close(a);
    temp_folder_free(folder);
}
