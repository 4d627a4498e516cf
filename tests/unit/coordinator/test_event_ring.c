/* What happened last: numbers, order, what is cut and what is said once. */
#include "coordinator/event_ring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static event_ring *ring_with(int n)
{
    char text[32];
    event_ring *r = calloc(1, sizeof *r);
    cr_assert_not_null(r);
    for (int i = 1; i <= n; i++) {
        snprintf(text, sizeof text, "event %d", i);
        event_ring_add(r, i, EVENT_MEMBER, "student-0", text);
    }
    return r;
}

Test(event_ring, the_oldest_goes_when_it_is_full)
{
    event_ring *r = ring_with(EVENT_RING_MAX + 10);
    cr_expect_eq(r->n, EVENT_RING_MAX);
    const event *e = event_ring_after(r, 0);
    cr_expect_eq(e->seq, 11);
    cr_expect_str_eq(e->text, "event 11");
    e = event_ring_after(r, 400);
    cr_expect_eq(e->seq, 401);
    cr_expect_null(event_ring_after(r, EVENT_RING_MAX + 10));
    e = event_ring_after(r, 1u << 30);
    cr_expect_eq(e->seq, 11, "a number of another life counts as 0");
    free(r);
}

Test(event_ring, an_empty_one_has_nothing_and_says_so)
{
    rt_buf out = {0};
    event_ring *r = ring_with(0);
    cr_expect_null(event_ring_after(r, 0));
    cr_expect_null(event_ring_after(r, 7));
    cr_assert_eq(event_ring_to_json(r, 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "{\"seq\":0,\"events\":[]}\n");
    rt_buf_free(&out);
    free(r);
}

Test(event_ring, is_shown_as_json_in_order)
{
    rt_buf out = {0};
    event_ring *r = ring_with(2);
    event_ring_add(r, 1764430000.25, EVENT_MONEY, "", "a \"word\"\n");
    cr_assert_eq(event_ring_to_json(r, 1, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "{\"seq\":3,\"events\":[{\"seq\":2,\"time\":2.0,\"kind\":\"member\","
                               "\"who\":\"student-0\",\"text\":\"event 2\"},{\"seq\":3,"
                               "\"time\":1764430000.25,\"kind\":\"money\",\"who\":\"\","
                               "\"text\":\"a \\\"word\\\"\\n\"}]}\n");
    rt_buf_free(&out);
    free(r);
}

Test(event_ring, long_and_broken_texts_fit)
{
    char text[2000];
    rt_buf out = {0};
    event_ring *r = ring_with(0);
    for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa4", 2);
    text[sizeof text - 1] = '\0';
    event_ring_add(r, 1, EVENT_RUN, text, text);
    event_ring_add(r, 1, EVENT_RUN, "\xff\xfe", "a\x80z");
    cr_assert_eq(event_ring_to_json(r, 0, &out, NULL), RT_OK, "it is UTF-8");
    const event *e = event_ring_after(r, 0);
    cr_expect_lt(strlen(e->text), sizeof e->text);
    cr_expect_gt(strlen(e->text), sizeof e->text - 8);
    cr_expect_str_eq(e->text + strlen(e->text) - 5, "\xc3\xa4\xe2\x80\xa6");
    cr_expect_str_eq(event_ring_after(r, 1)->text, "a?z");
    rt_buf_free(&out);
    free(r);
}

Test(event_ring, a_problem_that_is_said_again_is_not_a_new_one)
{
    event_ring *r = ring_with(0);
    for (int i = 0; i < 100; i++) {
        event_ring_add(r, i * 0.1, EVENT_PROBLEM, "student-0", "refused");
        event_ring_add(r, i * 0.1, EVENT_PROBLEM, "student-1", "refused");
    }
    cr_expect_eq(r->seq, 2);
    event_ring_add(r, 100, EVENT_PROBLEM, "student-0", "refused");
    cr_expect_eq(r->seq, 3, "after a minute it is");
    event_ring_add(r, 100, EVENT_MEMBER, "student-0", "died");
    event_ring_add(r, 100, EVENT_MEMBER, "student-0", "died");
    cr_expect_eq(r->seq, 5, "other things may happen twice");
    free(r);
}
