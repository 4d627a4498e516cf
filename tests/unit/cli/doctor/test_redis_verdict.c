#include "cli/doctor/redis_verdict.h"

#include <criterion/criterion.h>
#include <string.h>

static queue_server_info info_of(const char *role, uint64_t maxmemory, const char *policy)
{
    queue_server_info i = {.version = "7.0.15", .maxmemory = maxmemory, .used_memory = 100};
    snprintf(i.role, sizeof i.role, "%s", role);
    snprintf(i.policy, sizeof i.policy, "%s", policy);
    return i;
}

Test(redis_verdict, without_a_limit_nothing_is_evicted)
{
    queue_server_info i = info_of("master", 0, "allkeys-lru");
    finding f = redis_verdict("unix:/s", &i, 5000);
    cr_expect_eq(f.level, FINDING_OK);
    cr_expect(strstr(f.found, "Redis 7.0.15 at unix:/s") != NULL, "%s", f.found);
}

Test(redis_verdict, eviction_and_too_little_memory_are_warnings)
{
    queue_server_info i = info_of("master", 6000, "allkeys-lru");
    finding f = redis_verdict("u", &i, 5000);
    cr_expect_eq(f.level, FINDING_WARN);
    cr_expect(strstr(f.fix, "noeviction") != NULL);
    i = info_of("master", 6000, "noeviction");
    cr_expect_eq(redis_verdict("u", &i, 5900).level, FINDING_OK);
    f = redis_verdict("u", &i, 5901);
    cr_expect_eq(f.level, FINDING_WARN);
    cr_expect(strstr(f.fix, "maxmemory") != NULL);
    i.used_memory = 7000;
    cr_expect_eq(redis_verdict("u", &i, 1).level, FINDING_WARN);
}

Test(redis_verdict, a_replica_takes_no_writes)
{
    queue_server_info i = info_of("slave", 0, "noeviction");
    finding f = redis_verdict("u", &i, 1);
    cr_expect_eq(f.level, FINDING_FAIL);
    cr_expect_eq(f.why, RT_REFUSED);
}

Test(redis_verdict, the_need_is_that_of_full_queues)
{
    config *c = NULL;
    const char *sets[] = {"queue.labels_max=10", "queue.batches_max=4",
                          "train.micro_batch_tokens=1000", NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &c, NULL), RT_OK);
    cr_expect_eq(redis_need_of(c, 500, 300), 10 * 1800 + 4 * (8000 + 2000));
    config_free(c);
}
