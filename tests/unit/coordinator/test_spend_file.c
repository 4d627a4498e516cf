#include <criterion/criterion.h>
#include <string.h>

#include "coordinator/spend_file.h"

#define NOW 1000

static quota *make(uint64_t budget)
{
    quota *q = NULL;
    const quota_settings settings = {.budget = budget};
    cr_assert_eq(quota_new(&settings, true, NOW, &q, NULL), RT_OK);
    return q;
}

static wire_quota_grant report(quota *q, const char *name, uint64_t seq, uint64_t settled,
                               uint32_t n_wanted)
{
    wire_quota_grant g = {0};
    const wire_quota_report r = {.seq = seq,
                                 .settled = {{3, 1500, settled, 0}},
                                 .ceilings = {{3, 1500, settled, 0}},
                                 .need = {{1, 500, 100, 1}},
                                 .n_wanted = n_wanted,
                                 .n_prompt_tokens = 1000,
                                 .n_cached_tokens = 20,
                                 .n_completion_tokens = 500};
    cr_assert(quota_report(q, name, 77, &r, NOW, &g));
    return g;
}

static rt_buf write_spend(quota *q, uint64_t budget, bool stopped, bool ahead)
{
    rt_buf text = {0};
    const spend_facts facts = {"USD", budget, stopped};
    cr_assert_eq(spend_to_json(q, &facts, ahead, &text, NULL), RT_OK);
    return text;
}

static quota_sums read_spend(const rt_buf *text, quota *q, bool *stopped)
{
    rt_error err = {0};
    quota_sums sums;
    cr_assert_eq(spend_from_json(text->data, text->n, q, stopped, &err), RT_OK, "%s", err.text);
    quota_sum(q, NOW, &sums);
    return sums;
}

Test(spend_file, what_was_open_counts_as_lost_for_the_next_coordinator)
{
    bool stopped = true;
    quota *q = make(100000), *next = make(100000);
    quota_restore_closed(q, &(quota_use){.n_requests = 9, .cost = 400}, 30, 100);
    wire_quota_grant g = report(q, "a", 1, 250, 2);
    rt_buf text = write_spend(q, 100000, false, false);
    cr_expect_eq(quota_find(q, "a")->durable_cost, g.ceilings.of[RESOURCE_COST]);
    quota_sums sums = read_spend(&text, next, &stopped);
    cr_expect_eq(sums.use.cost, 650);
    cr_expect_eq(sums.lost, 230);
    cr_expect_eq(sums.reserved, 0);
    cr_expect_eq(sums.use.n_requests, 12);
    cr_expect_eq(sums.use.n_prompt_tokens, 1000);
    cr_expect_eq(sums.use.n_cached_tokens, 20);
    cr_expect_eq(sums.use.n_completion_tokens, 500);
    cr_expect_not(stopped);
    (void)report(next, "a", 2, 300, 0);
    quota_sum(next, NOW, &sums);
    cr_expect_eq(sums.lost, 30, "its process is still there and has settled");
    rt_buf_free(&text);
    quota_free(q);
    quota_free(next);
}

Test(spend_file, ahead_means_that_the_next_grants_are_in_the_file_already)
{
    bool stopped = false;
    quota *q = make(100000), *next = make(100000);
    (void)report(q, "a", 1, 0, 2);
    rt_buf text = write_spend(q, 100000, true, true);
    uint64_t durable = quota_find(q, "a")->durable_cost;
    cr_expect_gt(durable, 200);
    cr_expect_leq(report(q, "a", 2, 200, 2).ceilings.of[RESOURCE_COST], durable);
    cr_expect_eq(read_spend(&text, next, &stopped).lost, durable);
    cr_expect(stopped);
    rt_buf_free(&text);
    quota_free(q);
    quota_free(next);
}

Test(spend_file, is_written_again_as_it_was_read)
{
    bool stopped = false;
    quota *q = make(5000), *next = make(5000);
    (void)report(q, "a", 1, 50, 2);
    (void)report(q, "b", 1, 70, 0);
    rt_buf first = write_spend(q, 5000, false, false);
    (void)read_spend(&first, next, &stopped);
    rt_buf second = write_spend(next, 5000, stopped, false);
    /* What was reserved is lost now; everything else is the same. */
    cr_expect_not_null(strstr(second.data, "\"closed\""));
    const char *a = strstr(first.data, "\"closed\""), *b = strstr(second.data, "\"closed\"");
    cr_expect_str_eq(a, b);
    rt_buf_free(&first);
    rt_buf_free(&second);
    quota_free(q);
    quota_free(next);
}

Test(spend_file, anything_else_is_refused)
{
#define USE \
    "\"requests\":1,\"prompt_tokens\":1,\"cached_tokens\":0,\"completion_tokens\":1,\"cost\":5"
#define TOP(closed, accounts) \
    "{\"stopped\":\"\",\"typical_cost\":1,\"closed\":{" closed "},\"accounts\":[" accounts "]}"
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        TOP("", ""),
        TOP(USE, ""),
        TOP(USE ",\"lost\":-1", ""),
        TOP(USE ",\"lost\":0.5", ""),
        TOP(USE ",\"lost\":0", "7"),
        TOP(USE ",\"lost\":0", "{" USE ",\"name\":\"a\",\"incarnation\":1}"),
        TOP(USE ",\"lost\":0", "{" USE ",\"name\":\"\",\"incarnation\":1,\"held\":5}"),
        TOP(USE ",\"lost\":0", "{" USE ",\"name\":\"a\",\"incarnation\":1,\"held\":9e99}"),
        TOP(USE ",\"lost\":0", "{" USE ",\"name\":\"a\",\"incarnation\":1,\"held\":5},{" USE
                               ",\"name\":\"a\",\"incarnation\":2,\"held\":5}"),
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        bool stopped = false;
        rt_error err = {0};
        quota *q = make(100);
        cr_expect_eq(spend_from_json(bad[i], strlen(bad[i]), q, &stopped, &err), RT_CORRUPT, "%s",
                     bad[i]);
        cr_expect(err.text[0] != '\0');
        quota_free(q);
    }
}
