#include <criterion/criterion.h>
#include <stdio.h>

#include "coordinator/membership.h"

static membership *m;
static member *who;

static void open_members(void)
{
    cr_assert_eq(membership_new(1000, &m, NULL), RT_OK);
    who = NULL;
}

static void close_members(void)
{
    membership_free(m);
}

TestSuite(membership, .init = open_members, .fini = close_members);

static member_verdict join(const char *name, uint64_t incarnation, wire_role role, uint32_t shard,
                           uint64_t now)
{
    char host[] = "h", endpoint[] = "tcp://127.0.0.1:1", none[] = "";
    wire_register body = {
        .role = role, .shard = shard, .host = host, .endpoint = endpoint, .fingerprint = none};
    return membership_register(m, name, incarnation, &body, now, &who);
}

Test(membership, knows_a_name_once_and_takes_a_repeat)
{
    cr_expect_eq(join("student-0", 5, ROLE_STUDENT, 0, 0), MEMBER_NEW);
    cr_expect_eq(join("student-0", 5, ROLE_STUDENT, 0, 1), MEMBER_SAME);
    cr_expect_eq(membership_n(m), 1);
    cr_expect_eq(membership_n_alive(m, ROLE_STUDENT), 1);
}

Test(membership, refuses_an_older_incarnation_while_the_newer_is_alive)
{
    join("server-0", 9, ROLE_SERVER, 0, 0);
    cr_expect_eq(join("server-0", 8, ROLE_SERVER, 0, 10), MEMBER_OLDER);
    cr_expect_eq(membership_touch(m, "server-0", 8, 10, &who), MEMBER_OLDER);
    cr_expect_eq(join("server-0", 10, ROLE_SERVER, 0, 20), MEMBER_REPLACED);
    cr_expect_eq(who->session, 2);
}

Test(membership, lets_an_older_clock_in_once_the_newer_process_is_dead)
{
    join("student-0", 9, ROLE_STUDENT, 0, 0);
    cr_assert_not_null(membership_next_dead(m, 5000));
    cr_expect_eq(join("student-0", 3, ROLE_STUDENT, 0, 5001), MEMBER_REPLACED);
    cr_expect_eq(membership_touch(m, "student-0", 3, 5002, &who), MEMBER_SAME);
}

Test(membership, finds_a_silent_member_dead_once_and_revives_it_when_it_speaks)
{
    join("teacher-0", 1, ROLE_TEACHER, 0, 0);
    cr_expect_null(membership_next_dead(m, 1000));
    const member *dead = membership_next_dead(m, 1001);
    cr_assert_not_null(dead);
    cr_expect_str_eq(dead->name, "teacher-0");
    cr_expect_null(membership_next_dead(m, 1002));
    cr_expect_eq(membership_touch(m, "teacher-0", 1, 1003, &who), MEMBER_REVIVED);
    cr_expect_eq(membership_n_alive(m, ROLE_TEACHER), 1);
}

Test(membership, tells_a_stranger_to_register_again)
{
    cr_expect_eq(membership_touch(m, "teacher-0", 1, 0, &who), MEMBER_UNKNOWN);
    join("teacher-0", 1, ROLE_TEACHER, 0, 0);
    cr_expect_eq(membership_touch(m, "teacher-0", 2, 0, &who), MEMBER_UNKNOWN);
}

Test(membership, gives_a_shard_to_one_living_server)
{
    join("server-0", 1, ROLE_SERVER, 0, 0);
    cr_expect_eq(join("other", 1, ROLE_SERVER, 0, 1), MEMBER_SHARD_TAKEN);
    cr_assert_not_null(membership_next_dead(m, 2000));
    cr_expect_eq(join("other", 1, ROLE_SERVER, 0, 2001), MEMBER_NEW);
    cr_expect_eq(membership_touch(m, "server-0", 1, 2002, &who), MEMBER_OLDER);
    cr_expect_str_eq(membership_server(m, 0)->name, "other");
}

Test(membership, refuses_names_that_do_not_fit)
{
    char longest[MEMBER_NAME_SIZE + 1];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_expect_eq(join("", 1, ROLE_STUDENT, 0, 0), MEMBER_BAD_NAME);
    cr_expect_eq(join(longest, 1, ROLE_STUDENT, 0, 0), MEMBER_BAD_NAME);
}

Test(membership, stays_bounded_when_names_never_repeat)
{
    char name[32];
    for (unsigned i = 0; i < MEMBERS_MAX + 10; i++) {
        snprintf(name, sizeof name, "pod-%u", i);
        member_verdict verdict = join(name, 1, ROLE_TEACHER, 0, i);
        cr_expect_eq(verdict, i < MEMBERS_MAX ? MEMBER_NEW : MEMBER_TOO_MANY);
    }
    while (membership_next_dead(m, 100000) != NULL) continue;
    cr_expect_eq(join("late", 1, ROLE_TEACHER, 0, 100000), MEMBER_NEW);
    cr_expect_eq(membership_n(m), MEMBERS_MAX);
}

Test(membership, is_empty_when_all_were_told_and_fell_silent)
{
    join("student-0", 1, ROLE_STUDENT, 0, 0);
    cr_expect_not(membership_all_left(m, 900, 800));
    who->told_finished = true;
    cr_expect_not(membership_all_left(m, 700, 800));
    cr_expect(membership_all_left(m, 900, 800));
}

Test(membership, keeps_what_a_heartbeat_says)
{
    char busy[] = "step 7", counter[] = "steps_total";
    wire_counter counters[] = {{counter, 7}};
    wire_heartbeat body = {
        .role = ROLE_STUDENT, .busy_with = busy, .counters = counters, .n_counters = 1};
    join("student-0", 1, ROLE_STUDENT, 0, 0);
    membership_heartbeat(who, &body);
    cr_expect_str_eq(who->busy_with, "step 7");
    cr_expect_eq(who->told.n_counters, 1);
    cr_expect_float_eq(who->told.counters[0].value, 7, 0);
}
