#include "cli/doctor/bind_place.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static config *settings_of(const char *a, const char *b, const char *c)
{
    config *out = NULL;
    rt_error err = {0};
    const char *sets[] = {a, b, c, NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &out, &err), RT_OK, "%s", err.text);
    return out;
}

Test(bind_place, only_what_the_settings_fix_is_looked_at)
{
    bind_place places[BIND_PLACES_MAX];
    config *c = settings_of(NULL, NULL, NULL);
    cr_expect_eq(bind_places_of(c, places), 0, "all is chosen when a run starts");
    config_free(c);
    c = settings_of("net.http=off", "net.server_bind=ipc:///tmp/s-{shard}", "launch.servers=2");
    cr_expect_eq(bind_places_of(c, places), 0);
    config_free(c);
    c = settings_of("net.http=127.0.0.1:8080", "net.coordinator=tcp://127.0.0.1:7000",
                    "net.server_bind=ipc:///tmp/s");
    cr_assert_eq(bind_places_of(c, places), 3);
    cr_expect_str_eq(places[0].path, "net.coordinator");
    cr_expect_str_eq(places[0].host, "127.0.0.1");
    cr_expect_str_eq(places[0].port, "7000");
    cr_expect_str_eq(places[1].port, "8080");
    cr_expect(places[2].is_ipc);
    cr_expect_str_eq(places[2].file, "/tmp/s");
    config_free(c);
}

Test(bind_place, where_the_coordinator_binds_counts_more_than_where_it_is_reached)
{
    bind_place places[BIND_PLACES_MAX];
    config *c = settings_of("net.coordinator=tcp://127.0.0.1:7000",
                            "net.coordinator_bind=tcp://[::1]:7001", NULL);
    cr_assert_eq(bind_places_of(c, places), 1);
    cr_expect_str_eq(places[0].path, "net.coordinator_bind");
    cr_expect_str_eq(places[0].host, "::1");
    cr_expect_str_eq(places[0].port, "7001");
    config_free(c);
}

Test(bind_place, what_is_taken_fails_and_what_is_elsewhere_warns)
{
    bind_place p = {.path = "net.http", .text = "127.0.0.1:80", .n_binders = 1};
    cr_expect_eq(bind_verdict(&p, 0).level, FINDING_OK);
    finding f = bind_verdict(&p, EADDRINUSE);
    cr_expect_eq(f.level, FINDING_FAIL);
    cr_expect_eq(f.why, RT_IO);
    cr_expect(strstr(f.found, "127.0.0.1:80") != NULL);
    cr_expect_eq(bind_verdict(&p, EACCES).level, FINDING_FAIL);
    cr_expect_eq(bind_verdict(&p, EADDRNOTAVAIL).level, FINDING_WARN);
    cr_expect_eq(bind_verdict(&p, -1).level, FINDING_WARN);
    p.n_binders = 2;
    cr_expect_eq(bind_verdict(&p, 0).level, FINDING_FAIL, "one address for two processes");
}

Test(bind_place, a_listener_is_seen_and_a_free_port_is_left_free)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    bind_place p = {.path = "net.http", .host = "127.0.0.1", .n_binders = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, n), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(p.port, sizeof p.port, "%u", (unsigned)ntohs(a.sin_port));
    cr_expect_eq(bind_place_try(&p), EADDRINUSE);
    close(fd);
    cr_expect_eq(bind_place_try(&p), 0);
    cr_expect_eq(bind_place_try(&p), 0, "the first try holds nothing");
}
