#include "coordinator/quota_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

#define NOW 100000

static config *settings;
static lease_table *leases;
static run_folder folder;
static char *place;

static void set_up(void)
{
    const char *sets[] = {"limits.budget=0.001", "limits.price_output=1", NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &settings, NULL), RT_OK);
    cr_assert_eq(lease_table_new(20, 10, 1000, &leases, NULL), RT_OK);
    place = temp_folder_new();
    snprintf(folder.path, sizeof folder.path, "%s", place);
}

static void tear_down(void)
{
    temp_folder_free(place);
    lease_table_free(leases);
    config_free(settings);
}

TestSuite(quota_stage, .init = set_up, .fini = tear_down);

static quota_stage open_stage(bool may_reopen)
{
    rt_error err = {0};
    quota_stage s = {0};
    cr_assert_eq(quota_stage_open(&s, settings, &folder, leases, may_reopen, NOW, &err), RT_OK,
                 "%s", err.text);
    return s;
}

/* A report of cost settled so far that asks for one more request of 400,000. */
static bool report(quota_stage *s, uint64_t seq, uint64_t settled, wire_quota_grant *g)
{
    const wire_quota_report r = {.seq = seq,
                                 .settled = {{seq, 0, settled, 0}},
                                 .ceilings = {{0, 0, settled, 0}},
                                 .need = {{1, 400, 400000, 1}},
                                 .n_wanted = 1};
    return quota_stage_report(s, "teacher-0", 5, &r, NOW + seq, g);
}

static char *file_text(void)
{
    char path[RUN_PATH_SIZE];
    rt_buf text = {0};
    cr_assert_eq(run_folder_path(&folder, "spend.json", path, NULL), RT_OK);
    cr_assert_eq(rt_fs_read(path, 1 << 20, &text, NULL), RT_OK);
    return text.data;
}

/* Until the budget of 1,000,000 is spent to less than one request. */
static void spend_all(quota_stage *s)
{
    wire_quota_grant g;
    cr_assert(report(s, 1, 0, &g));
    cr_assert(report(s, 2, 400000, &g));
    cr_assert(report(s, 3, 800000, &g));
}

Test(quota_stage, a_ceiling_is_in_the_file_before_it_is_granted)
{
    wire_quota_grant g;
    quota_stage s = open_stage(true);
    cr_assert(report(&s, 1, 0, &g));
    cr_expect_eq(g.ceilings.of[RESOURCE_COST], 400000);
    quota_stage again = open_stage(true);
    quota_sums sums;
    quota_sum(again.book.quota, NOW, &sums);
    cr_expect_geq(sums.lost, 400000);
    quota_stage_close(&again);
    quota_stage_close(&s);
}

Test(quota_stage, what_the_disk_refuses_is_not_granted)
{
    wire_quota_grant g;
    quota_stage s = open_stage(true);
    snprintf(s.book.path, sizeof s.book.path, "%.500s/nowhere/spend.json", folder.path);
    cr_expect_not(report(&s, 1, 0, &g));
    cr_expect(s.book.problem[0] != '\0');
    cr_assert_eq(run_folder_path(&folder, "spend.json", s.book.path, NULL), RT_OK);
    cr_expect(report(&s, 1, 0, &g), "the teacher tries again");
    cr_expect_str_empty(s.book.problem);
    quota_stage_close(&s);
}

Test(quota_stage, a_spent_budget_closes_the_leases_and_ends_when_all_is_back)
{
    lease l;
    bool granted = false;
    quota_stage s = open_stage(true);
    cr_assert_eq(lease_table_grant(leases, "teacher-0", 0, NOW, &l, &granted, NULL), RT_OK);
    quota_stage_turn(&s, true, NOW);
    cr_expect_not(lease_table_is_closed(leases));
    spend_all(&s);
    quota_stage_turn(&s, true, NOW + 10);
    cr_expect(lease_table_is_closed(leases));
    cr_expect_not(lease_table_all_done(leases), "a shard is out");
    lease_table_told_done(leases, "teacher-0", l.shard, l.id);
    quota_stage_turn(&s, false, NOW + 20);
    cr_expect_not(lease_table_all_done(leases), "records may be in the stream");
    (void)lease_table_stream_empty(leases);
    quota_stage_turn(&s, true, NOW + 30);
    cr_expect(lease_table_all_done(leases));
    cr_expect(s.book.stopped);
    char *text = file_text();
    cr_expect_not_null(strstr(text, "\"stopped\": \"budget\""));
    free(text);
    quota_stage_close(&s);
}

Test(quota_stage, a_later_start_stays_closed_once_a_plan_holds_the_labels)
{
    quota_stage s = open_stage(true);
    spend_all(&s);
    quota_stage_turn(&s, true, NOW);
    quota_stage_save(&s, NOW);
    cr_assert(s.book.stopped);
    quota_stage_close(&s);
    settings->limits.budget = 5;
    for (int reopens = 0; reopens < 2; reopens++) {
        lease_table_free(leases);
        cr_assert_eq(lease_table_new(20, 10, 1000, &leases, NULL), RT_OK);
        s = open_stage(reopens == 1);
        cr_expect_eq(s.reopened, reopens == 1);
        quota_stage_turn(&s, true, NOW);
        cr_expect_eq(lease_table_all_done(leases), reopens == 0);
        cr_expect_eq(lease_table_is_closed(leases), reopens == 0);
        quota_stage_close(&s);
    }
}

Test(quota_stage, a_file_that_says_nothing_certain_is_an_error_that_names_it)
{
    rt_error err = {0};
    quota_stage s = {0};
    char path[RUN_PATH_SIZE];
    cr_assert_eq(run_folder_path(&folder, "spend.json", path, NULL), RT_OK);
    cr_assert_eq(rt_fs_write_atomic(path, "{\"spent\":", 9, NULL), RT_OK);
    cr_expect_eq(quota_stage_open(&s, settings, &folder, leases, true, NOW, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "spend.json"));
    quota_stage_close(&s);
}

Test(quota_stage, without_a_folder_nothing_is_written)
{
    rt_error err = {0};
    quota_stage s = {0};
    char path[RUN_PATH_SIZE];
    cr_assert_eq(quota_stage_open(&s, settings, NULL, leases, true, NOW, &err), RT_OK);
    quota_stage_turn(&s, true, NOW + 10000);
    quota_stage_save(&s, NOW + 10000);
    cr_assert_eq(run_folder_path(&folder, "spend.json", path, NULL), RT_OK);
    cr_expect_not(rt_fs_exists(path));
    quota_stage_close(&s);
}
