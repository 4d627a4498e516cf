#include <criterion/criterion.h>
#include <math.h>

#include "coordinator/student_time.h"

static membership *members;

static void open_members(void)
{
    cr_assert_eq(membership_new(1000, &members, NULL), RT_OK);
}

static void close_members(void)
{
    membership_free(members);
}

TestSuite(student_time, .init = open_members, .fini = close_members);

static double beside = 0; /* what the next one tells of it */

static void tell(const char *name, wire_role role, double wait, double pull, double compute,
                 double push)
{
    char none[] = "", names[6][20] = {"wait_seconds", "pull_seconds",  "compute_seconds",
                                      "push_seconds", "micro_batches", "push_beside_seconds"};
    member *who = NULL;
    wire_register body = {.role = role, .host = none, .endpoint = none, .fingerprint = none};
    wire_counter counters[] = {{names[0], wait},    {names[4], 1000}, {names[1], pull},
                               {names[2], compute}, {names[3], push}, {names[5], beside}};
    wire_heartbeat beat = {
        .role = role, .busy_with = none, .counters = counters, .n_counters = RT_COUNT(counters)};
    (void)membership_register(members, name, 1, &body, 0, &who);
    cr_assert_not_null(who);
    membership_heartbeat(who, &beat);
}

Test(student_time, shares_are_of_the_time_of_all_students)
{
    tell("student-0", ROLE_STUDENT, 1, 2, 6, 1);
    tell("student-1", ROLE_STUDENT, 3, 0, 6, 1);
    tell("teacher-0", ROLE_TEACHER, 100, 100, 100, 100);
    student_time t = student_time_of(members);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_WAIT), 0.2);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_PULL), 0.1);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_COMPUTE), 0.6);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_PUSH), 0.1);
}

Test(student_time, what_goes_on_beside_is_said_apart_and_the_parts_add_up_without_it)
{
    double sum = 0;
    beside = 2;
    tell("student-0", ROLE_STUDENT, 1, 2, 6, 1);
    beside = -1;
    tell("student-1", ROLE_STUDENT, 3, 0, 6, 1);
    student_time t = student_time_of(members);
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        sum += student_time_share(&t, part);
    cr_expect_float_eq(sum, 1, 1e-12);
    cr_expect_eq(student_time_beside_share(&t), 0.1);
}

Test(student_time, nothing_told_has_no_share)
{
    student_time t = student_time_of(members);
    cr_expect(isnan(student_time_share(&t, STUDENT_TIME_COMPUTE)));
}

Test(student_time, what_is_no_time_counts_nothing)
{
    tell("student-0", ROLE_STUDENT, NAN, -4, 5, INFINITY);
    student_time t = student_time_of(members);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_COMPUTE), 1);
    cr_expect_eq(student_time_share(&t, STUDENT_TIME_PUSH), 0);
}
