#include "common/queue/server_info.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/redis_fixture.h"

Test(server_info, reads_the_lines_it_knows_and_no_other)
{
    queue_server_info i = queue_server_info_read("# Server\r\nredis_version:7.0.15\r\n\r\n"
                                                 "# Memory\r\nused_memory:1048576\r\n"
                                                 "used_memory_human:1.00M\r\n"
                                                 "total_maxmemory:7\r\nmaxmemory:33554432\r\n"
                                                 "maxmemory_policy:allkeys-lru\r\n"
                                                 "# Replication\r\nrole:slave\r\n");
    cr_expect_str_eq(i.version, "7.0.15");
    cr_expect_str_eq(i.policy, "allkeys-lru");
    cr_expect_str_eq(i.role, "slave");
    cr_expect_eq(i.maxmemory, 33554432);
    cr_expect_eq(i.used_memory, 1048576);
}

Test(server_info, what_is_not_told_is_empty_and_what_is_long_is_cut)
{
    queue_server_info i = queue_server_info_read(
        "redis_version\r\nrole:a-role-that-is-much-too-long-to-be-one\r\nmaxmemory:lots");
    cr_expect_str_eq(i.version, "");
    cr_expect_str_eq(i.policy, "");
    cr_expect_eq(strlen(i.role), sizeof i.role - 1);
    cr_expect_eq(i.maxmemory, 0);
    cr_expect_str_eq(queue_server_info_read("").version, "");
}

Test(server_info, a_server_is_probed_and_nothing_is_written_there)
{
    redis_fixture f;
    queue_server_info i = {0};
    rt_error err = {0};
    const queue_login right = {.password = "secret"}, wrong = {.password = "wrong"};
    redis_fixture_start(&f, "secret");
    cr_assert_eq(queue_probe_redis(f.url, &right, &i, &err), RT_OK, "%s", err.text);
    cr_expect_neq(i.version[0], '\0');
    cr_expect_str_eq(i.role, "master");
    cr_expect_str_eq(i.policy, "noeviction");
    redisReply *size = redis_fixture_command(&f, "DBSIZE");
    cr_expect_eq(size->integer, 0);
    freeReplyObject(size);
    cr_expect_eq(queue_probe_redis(f.url, &wrong, &i, &err), RT_REFUSED);
    redis_fixture_kill(&f);
    cr_expect_eq(queue_probe_redis(f.url, &right, &i, &err), RT_UNAVAILABLE);
    redis_fixture_stop(&f);
}
