#include <criterion/criterion.h>
#include <string.h>

#include "worker/param_server/advertise.h"
#include "worker/param_server/parked_pulls.h"

static net_peer peer(unsigned number)
{
    net_peer p = {.n = sizeof number};
    memcpy(p.bytes, &number, sizeof number);
    return p;
}

static bool park(parked_pulls *p, net_peer from, uint64_t id, uint64_t version, uint64_t until_ms)
{
    parked_pull pull = {.peer = from, .message_id = id, .version = version, .until_ms = until_ms};
    return parked_pulls_add(p, &pull);
}

Test(parked_pulls, are_answered_when_their_version_comes_or_their_time_is_over)
{
    static parked_pulls parked;
    parked_pull got;
    net_peer a = peer(1), b = peer(2);
    cr_expect(park(&parked, a, 11, 5, 1250));
    cr_expect(park(&parked, b, 12, 6, 1300));
    cr_expect_eq(parked_pulls_next_ms(&parked), 1250);
    cr_expect_not(parked_pulls_take(&parked, true, 4, 1000, &got));
    cr_assert(parked_pulls_take(&parked, true, 5, 1000, &got));
    cr_expect_eq(got.message_id, 11);
    cr_expect_not(parked_pulls_take(&parked, true, 5, 1299, &got));
    cr_assert(parked_pulls_take(&parked, true, 5, 1300, &got));
    cr_expect_eq(got.message_id, 12);
    cr_expect_eq(parked_pulls_next_ms(&parked), UINT64_MAX);
}

Test(parked_pulls, without_parameters_only_time_releases)
{
    static parked_pulls parked;
    parked_pull got;
    net_peer a = peer(1);
    park(&parked, a, 1, 0, 10);
    cr_expect_not(parked_pulls_take(&parked, false, 0, 9, &got));
    cr_expect(parked_pulls_take(&parked, false, 0, 10, &got));
}

Test(parked_pulls, newer_one_of_a_peer_replaces_the_older)
{
    static parked_pulls parked;
    parked_pull got;
    net_peer a = peer(1);
    park(&parked, a, 1, 5, 100);
    park(&parked, a, 2, 7, 200);
    cr_expect_eq(parked.n, 1);
    cr_assert(parked_pulls_take(&parked, true, 9, 0, &got));
    cr_expect_eq(got.message_id, 2);
    cr_expect_eq(got.version, 7);
}

Test(parked_pulls, are_bounded)
{
    static parked_pulls parked;
    net_peer p;
    for (unsigned i = 0; i < PARKED_PULLS_MAX; i++) {
        p = peer(i);
        cr_assert(park(&parked, p, i, 1, 100));
    }
    p = peer(PARKED_PULLS_MAX);
    cr_expect_not(park(&parked, p, 1, 1, 100));
    p = peer(3);
    cr_expect(park(&parked, p, 1, 1, 100), "a known peer still finds its place");
}

typedef struct endpoint_case {
    const char *pattern, *bound, *expected;
} endpoint_case;

Test(advertise, fills_in_shard_and_port)
{
    static const endpoint_case cases[] = {
        {"tcp://127.0.0.1:*", "", "tcp://127.0.0.1:*"},
        {"tcp://server-{shard}.servers:7200", "tcp://0.0.0.0:7200", "tcp://server-3.servers:7200"},
        {"tcp://{shard}.a.{shard}:*", "tcp://0.0.0.0:41233", "tcp://3.a.3:41233"},
        {"ipc:///run/s-{shard}", "", "ipc:///run/s-3"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rt_buf out = {0};
        cr_assert_eq(endpoint_fill(cases[i].pattern, 3, cases[i].bound, &out, NULL), RT_OK);
        cr_expect_str_eq(out.data, cases[i].expected);
        rt_buf_free(&out);
    }
}
