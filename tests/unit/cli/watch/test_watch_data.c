#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/watch/watch_data.h"

#define HEAD                                                                                     \
    "\"doing\":\"labelling\",\"rows\":{\"total\":10,\"labelled\":4,\"pending\":3,\"leased\":2}," \
    "\"labels\":{\"active\":true,\"done\":false},\"training\":{\"active\":true,\"done\":false}," \
    "\"step\":7,\"labelled_per_s\":2.5,\"loss\":1.5"

static watch_data d; /* zero at the start of each test, which is a process of its own */

static void stats(const char *rest, double now_s)
{
    char body[4096];
    rt_error err = {0};
    int n = snprintf(body, sizeof body, "{" HEAD "%s}", rest);
    cr_assert_eq(watch_take_stats(&d, body, (size_t)n, now_s, &err), RT_OK, "%s", err.text);
}

static void member(double labelled, double now_s)
{
    char rest[256];
    snprintf(rest, sizeof rest,
             ",\"members\":[{\"name\":\"teacher-0\",\"role\":\"teacher\",\"state\":\"alive\","
             "\"silent_ms\":1500,\"counters\":{\"labelled\":%g}}]",
             labelled);
    stats(rest, now_s);
}

Test(watch_data, an_old_coordinators_answer_leaves_the_new_parts_empty)
{
    stats("", 1);
    cr_expect_eq(d.n_pending, 3);
    cr_expect_eq(d.n_leased, 2);
    cr_expect_eq(d.n_losses, 0);
    cr_expect_str_eq(d.starved, "");
    cr_expect(isnan(d.peak_share));
    cr_expect_eq(d.restarts, 0);
}

Test(watch_data, a_new_coordinators_answer_fills_them)
{
    stats(",\"losses\":{\"predict\":1.25,\"explain\":2.5},\"compute\":{\"mflops_per_s\":1200,"
          "\"peak_mflops_per_s\":null,\"peak_share\":0.3},\"starved\":{\"student_s\":1,"
          "\"now\":\"students wait for labels\"},\"restarts\":2",
          1);
    cr_assert_eq(d.n_losses, 2);
    cr_expect_str_eq(d.losses[0].task, "predict");
    cr_expect_eq(d.losses[1].value, 2.5);
    cr_expect_eq(d.mflops_per_s, 1200);
    cr_expect_eq(d.peak_share, 0.3);
    cr_expect_str_eq(d.starved, "students wait for labels");
    cr_expect_eq(d.restarts, 2);
}

Test(watch_data, a_workers_rate_is_counted_over_some_seconds)
{
    member(10, 100);
    cr_expect(isnan(d.members[0].per_s), "one look is no rate");
    member(12, 101);
    cr_expect(isnan(d.members[0].per_s), "a second is too short");
    member(30, 104);
    cr_expect_eq(d.members[0].per_s, 5);
    member(31, 105);
    cr_expect_eq(d.members[0].per_s, 5, "until the next span is over");
    cr_expect_eq(d.members[0].silent_s, 1.5);
    member(2, 106);
    cr_expect(isnan(d.members[0].per_s), "a worker that began anew has no rate yet");
}

Test(watch_data, living_and_dead_are_counted_by_role)
{
    stats(",\"members\":[{\"name\":\"a\",\"role\":\"teacher\",\"state\":\"alive\"},"
          "{\"name\":\"b\",\"role\":\"teacher\",\"state\":\"dead\"},"
          "{\"name\":\"c\",\"role\":\"student\",\"state\":\"alive\"},"
          "{\"name\":\"d\",\"role\":\"server\",\"state\":\"alive\"}]",
          1);
    cr_expect_eq(d.teachers.n_alive, 1);
    cr_expect_eq(d.teachers.n_dead, 1);
    cr_expect_eq(d.students.n_alive, 1);
    cr_expect_eq(d.servers.n_alive, 1);
}

Test(watch_data, members_stand_by_role_and_number)
{
    stats(",\"members\":[{\"name\":\"server-0\",\"role\":\"server\"},"
          "{\"name\":\"teacher-10\",\"role\":\"teacher\"},"
          "{\"name\":\"student-0\",\"role\":\"student\"},"
          "{\"name\":\"teacher-2\",\"role\":\"teacher\"}]",
          1);
    cr_expect_str_eq(d.members[0].name, "teacher-2");
    cr_expect_str_eq(d.members[1].name, "teacher-10");
    cr_expect_str_eq(d.members[2].name, "student-0");
    cr_expect_str_eq(d.members[3].name, "server-0");
}

Test(watch_data, more_members_than_there_is_room_for_are_counted_still)
{
    static char body[200000];
    size_t n = (size_t)snprintf(body, sizeof body, "{" HEAD ",\"members\":[");
    for (int i = 0; i < 1000; i++)
        n +=
            (size_t)snprintf(body + n, sizeof body - n,
                             "%s{\"name\":\"student-%d\",\"role\":\"student\",\"state\":\"alive\"}",
                             i > 0 ? "," : "", i);
    n += (size_t)snprintf(body + n, sizeof body - n, "]}");
    cr_assert_eq(watch_take_stats(&d, body, n, 1, NULL), RT_OK);
    cr_expect_eq(d.n_members, WATCH_MEMBERS_MAX);
    cr_expect_eq(d.students.n_alive, 1000);
}

Test(watch_data, texts_cannot_steer_the_terminal)
{
    stats(",\"run\":\"a\\u001b[2Jb\\nc\",\"problem\":\"x\\u0007y\"", 1);
    cr_expect_str_eq(d.run, "a\xEF\xBF\xBD[2Jb c");
    cr_expect_str_eq(d.now.problem, "x\xEF\xBF\xBDy");
}

Test(watch_data, without_a_history_the_curves_come_from_the_looks)
{
    stats("", 1);
    stats("", 2);
    cr_expect_eq(d.series.n, 2);
    cr_expect_eq(d.series.points[1].y[CURVE_LOSS], 1.5);
    cr_expect_eq(d.series.points[1].y[CURVE_LABELS], 2.5);
}

static const char history[] =
    "{\"seq\":9,\"points\":[{\"seq\":8,\"t\":1,\"loss\":null,\"labelled_per_s\":3,\"step\":0},"
    "{\"seq\":9,\"t\":2,\"loss\":2.5,\"step\":4}],\"evaluations\":[{\"version\":4,\"exact\":0.5}]}";

Test(watch_data, a_history_takes_the_place_of_the_looks)
{
    stats("", 1);
    stats("", 2);
    cr_assert_eq(watch_take_history(&d, history, sizeof history - 1, NULL), RT_OK);
    stats("", 3);
    cr_assert_eq(d.series.n, 2);
    cr_expect(isnan(d.series.points[0].y[CURVE_LOSS]));
    cr_expect_eq(d.series.points[1].y[CURVE_STEP], 4);
    cr_expect_eq(d.history_seq, 9);
}

Test(watch_data, a_validation_that_is_told_again_counts_once)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(watch_take_history(&d, history, sizeof history - 1, NULL), RT_OK);
    cr_expect_eq(d.n_scores, 1);
    cr_expect_eq(d.scores[0].exact, 0.5);
}

Test(watch_data, of_many_events_the_newest_are_kept)
{
    char body[256];
    for (int i = 1; i <= 3 * WATCH_EVENTS_MAX; i++) {
        int n = snprintf(body, sizeof body,
                         "{\"seq\":%d,\"events\":[{\"seq\":%d,\"time\":%d,\"kind\":\"lease\","
                         "\"who\":\"teacher-0\",\"text\":\"shard %d\"}]}",
                         i, i, i, i);
        cr_assert_eq(watch_take_events(&d, body, (size_t)n, NULL), RT_OK);
    }
    cr_expect_eq(d.n_events, WATCH_EVENTS_MAX);
    cr_expect_eq(d.events_seq, 3 * WATCH_EVENTS_MAX);
    cr_expect_str_eq(d.events[WATCH_EVENTS_MAX - 1].text, "shard 192");
    watch_forget_numbering(&d);
    cr_expect_eq(d.n_events, 0);
    cr_expect_eq(d.events_seq, 0);
}

Test(watch_data, bodies_that_are_no_answers_are_refused_and_change_nothing)
{
    static const char *const bodies[] = {"", "{", "[]", "{\"rows\":3}", "null", "\"x\"", "{}"};
    stats("", 1);
    for (size_t i = 0; i < RT_COUNT(bodies); i++) {
        size_t n = strlen(bodies[i]);
        cr_expect_eq(watch_take_stats(&d, bodies[i], n, 2, NULL), RT_CORRUPT);
        cr_expect_eq(watch_take_history(&d, bodies[i], n, NULL), RT_CORRUPT);
        cr_expect_eq(watch_take_events(&d, bodies[i], n, NULL), RT_CORRUPT);
    }
    cr_expect_eq(d.now.step, 7);
    cr_expect_eq(d.series.n, 1);
}

Test(watch_data, parts_of_the_wrong_kind_are_passed_over)
{
    stats(",\"members\":[3,null,{\"name\":5,\"counters\":[]}],\"losses\":[1],\"best\":\"x\","
          "\"queues\":[],\"starved\":7,\"compute\":true",
          1);
    cr_expect_eq(d.n_members, 3);
    cr_expect_eq(d.n_losses, 0);
}
