#include <criterion/criterion.h>

#include "worker/teacher/openai/latency.h"

Test(latencies, give_the_median_of_the_latest)
{
    latencies l = {0};
    uint64_t ms;
    for (uint64_t i = 0; i + 1 < LATENCIES_MIN; i++) latencies_add(&l, 5);
    cr_expect_not(latencies_median(&l, &ms));
    latencies_add(&l, 1000000);
    cr_expect(latencies_median(&l, &ms));
    cr_expect_eq(ms, 5);
    for (uint64_t i = 0; i < LATENCIES_KEPT; i++) latencies_add(&l, 100 + i);
    cr_expect(latencies_median(&l, &ms));
    cr_expect_eq(ms, 100 + LATENCIES_KEPT / 2);
}
