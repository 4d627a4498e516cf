#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker/teacher/openai/headers.h"

/* Sat, 28 Nov 2026 00:00:00 GMT */
#define WALL_MS 1795824000000u

Test(openai_headers, reads_a_wait_in_all_its_forms)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0", 0},
        {"20", 20000},
        {"0.5", 500},
        {"1s", 1000},
        {"6m0s", 360000},
        {"12ms", 12},
        {"1h2m", OPENAI_RETRY_AFTER_MS_MAX},
        {"59m59s", 3599000},
        {"7.66s", 7660},
        {"100us", 1},
        {"Sat, 28 Nov 2026 00:01:00 GMT", 60000},
        {"Fri, 27 Nov 2026 00:01:00 GMT", 0},
        {"2026-11-28T00:01:00Z", 60000},
        {"2026-11-28T00:00:00.250Z", 250},
        {"2026-11-28T02:30:07+02:30", 7000},
        {"2026-11-27T23:00:01-01:00", 1000},
        {"2025-11-28T00:01:00Z", 0},
        {"1795824030", 30000},
        {"1795824000250", 250},
        {"99999999999999999999", OPENAI_RETRY_AFTER_MS_MAX},
    };
    static const char *const bad[] = {"",
                                      "-1",
                                      "soon",
                                      "1x",
                                      "s",
                                      "5 s",
                                      "1s2",
                                      "nan",
                                      "0x10",
                                      ".",
                                      "2026-11-28T00:01:00",
                                      "2026-11-28T00:01:00.Z",
                                      "2026-11-28T00:01:00+1",
                                      "2026-11-28",
                                      "2026-11-28T00:01Z",
                                      "2026-11-28T00:01:00+02:00x"};
    for (size_t i = 0; i < RT_COUNT(good); i++) {
        uint64_t ms = 77;
        cr_expect(openai_read_wait(good[i].text, WALL_MS, &ms), "%s", good[i].text);
        cr_expect_eq(ms, good[i].ms, "%s: %zu", good[i].text, (size_t)ms);
    }
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        uint64_t ms;
        cr_expect_not(openai_read_wait(bad[i], WALL_MS, &ms), "%s", bad[i]);
    }
}

static openai_headers read_headers(const char *text)
{
    http_response r = {0};
    cr_assert_eq(rt_buf_add_text(&r.headers, text, NULL), RT_OK);
    openai_headers h = openai_headers_read(&r, WALL_MS);
    http_response_free(&r);
    return h;
}

Test(openai_headers, reads_wishes_and_quotas)
{
    openai_headers h =
        read_headers("retry-after: 2\nx-ratelimit-remaining-requests: 9\n"
                     "x-ratelimit-limit-requests: 60\nx-ratelimit-reset-requests: 6m0s\n"
                     "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 12ms\n");
    cr_expect(h.has_retry);
    cr_expect_eq(h.retry_ms, 2000);
    cr_expect(h.requests.known);
    cr_expect_eq(h.requests.n_left, 9);
    cr_expect_eq(h.requests.n_limit, 60);
    cr_expect_eq(h.requests.reset_ms, 360000);
    cr_expect(h.tokens.known);
    cr_expect_eq(h.tokens.n_limit, 0);
    cr_expect_eq(h.tokens.reset_ms, 12);
    h = read_headers("retry-after-ms: 150\nretry-after: 9\n");
    cr_expect_eq(h.retry_ms, 150, "the finer one counts");
}

Test(openai_headers, knows_limits_of_a_day_and_how_finely_a_reset_is_told)
{
    openai_headers h =
        read_headers("x-ratelimit-remaining-requests: 9\nx-ratelimit-reset-requests: 23h0m0s\n"
                     "x-ratelimit-remaining-tokens: 5\nx-ratelimit-reset-tokens: 7.66s\n");
    cr_expect_eq(h.requests.reset_ms, (uint64_t)23 * 3600 * 1000);
    cr_expect_not(h.requests.is_exact);
    cr_expect(h.tokens.is_exact);
}

Test(openai_headers, takes_what_means_nothing_as_not_there)
{
    openai_headers h = read_headers("x-ratelimit-remaining-requests: -1\n"
                                    "x-ratelimit-reset-requests: 0\n"
                                    "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 0\n"
                                    "retry-after: whenever\n");
    cr_expect_not(h.requests.known);
    cr_expect_not(h.tokens.known);
    cr_expect_not(h.has_retry);
}
