#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "common/text/utf8.h"

static const run_stats labelling = {.n_examples = 10000,
                                    .n_labelled = 6188,
                                    .n_rejected = 12,
                                    .labelled_per_s = 212.4,
                                    .label_eta_s = 18,
                                    .labels = true,
                                    .loss = NAN};

Test(progress, durations_read_like_a_clock)
{
    char out[16];
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"}, {65.2, "1:05"}, {7384, "2:03:04"}, {-1, "?"}, {NAN, "?"}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        progress_duration(cases[i].seconds, out);
        cr_expect_str_eq(out, cases[i].text);
    }
}

Test(progress, thousands_are_set_apart)
{
    char out[32];
    progress_thousands(0, out);
    cr_expect_str_eq(out, "0");
    progress_thousands(999, out);
    cr_expect_str_eq(out, "999");
    progress_thousands(18446744073709551615u, out);
    cr_expect_str_eq(out, "18,446,744,073,709,551,615");
}

Test(progress, a_labelling_line_shows_done_total_rejected_rate_and_time_left)
{
    rt_buf out = {0};
    cr_assert_eq(progress_label_line(&labelling, 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "label 6,188/10,000  rejected 12  212/s  ETA 0:18");
    rt_buf_free(&out);
}

Test(progress, a_labelling_line_shows_what_was_spent_the_budget_and_what_is_expected)
{
    rt_buf out = {0};
    run_stats s = labelling;
    s.has_money = true;
    s.spent = 1.254;
    s.budget = 5;
    s.projected = 2.031;
    strcpy(s.currency, "EUR");
    cr_assert_eq(progress_label_line(&s, 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data,
                     "label 6,188/10,000  rejected 12  1.25/5.00 EUR (~2.03)  212/s  ETA 0:18");
    rt_buf_clear(&out);
    s.budget = 0;
    s.labelling_done = true;
    cr_assert_eq(progress_label_line(&s, 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "label 6,188/10,000  rejected 12  1.25 EUR  done");
    rt_buf_free(&out);
}

Test(progress, a_bar_is_drawn_only_where_there_is_room_for_it)
{
    rt_buf narrow = {0}, wide = {0};
    cr_assert_eq(progress_label_line(&labelling, 40, &narrow, NULL), RT_OK);
    cr_assert_eq(progress_label_line(&labelling, 100, &wide, NULL), RT_OK);
    cr_expect_null(strstr(narrow.data, "█"));
    cr_expect_not_null(strstr(wide.data, "█"));
    cr_expect_leq(utf8_columns(wide.data, wide.n), 100);
    rt_buf_free(&narrow);
    rt_buf_free(&wide);
}

Test(progress, training_without_a_known_length_says_so)
{
    run_stats s = {.trains = true, .step = 3, .loss = NAN, .train_eta_s = -1};
    rt_buf out = {0};
    cr_assert_eq(progress_train_line(&s, 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "train step 3/?  0 tokens/s  ETA ?");
    rt_buf_free(&out);
}

Test(progress, the_students_line_says_where_their_time_goes)
{
    rt_buf out = {0};
    run_stats s = {
        .wait_share = 0.124, .pull_share = 0.03, .compute_share = 0.8, .push_share = 0.046};
    cr_assert_eq(progress_student_line(&s, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data,
                     "students  80 % computing, 12 % waiting, 3 % pulling, 5 % pushing\n");
    rt_buf_clear(&out);
    s.push_beside_share = 0.062;
    cr_assert_eq(progress_student_line(&s, &out, NULL), RT_OK);
    cr_expect_str_eq(
        out.data,
        "students  80 % computing, 12 % waiting, 3 % pulling, 5 % pushing (and 6 % beside)\n");
    rt_buf_clear(&out);
    s.compute_share = NAN;
    cr_assert_eq(progress_student_line(&s, &out, NULL), RT_OK);
    cr_expect_eq(out.n, 0, "nothing is known yet");
    rt_buf_free(&out);
}

Test(stats_client, bodies_that_are_no_stats_are_refused)
{
    static const char *const bodies[] = {"", "{", "[]", "{\"rows\":3}", "null"};
    run_stats s;
    for (size_t i = 0; i < RT_COUNT(bodies); i++) {
        rt_error err = {0};
        cr_expect_eq(run_stats_parse(bodies[i], strlen(bodies[i]), &s, &err), RT_CORRUPT);
        cr_expect_neq(err.text[0], '\0');
    }
}

Test(stats_client, a_coordinators_answer_is_read)
{
    static const char body[] =
        "{\"doing\":\"labelling\",\"rows\":{\"total\":10,\"labelled\":4,\"rejected\":1},"
        "\"labels\":{\"active\":true,\"done\":false},\"training\":{\"active\":true,\"done\":false},"
        "\"step\":7,\"n_steps\":null,\"loss\":null,\"eta_s\":{\"label\":2.5,\"train\":null},"
        "\"student_time\":{\"wait\":0.5,\"pull\":0.25,\"compute\":null,\"push\":0.125,"
        "\"push_beside\":0.0625},"
        "\"problem\":\"Redis is away\"}";
    run_stats s;
    cr_assert_eq(run_stats_parse(body, sizeof body - 1, &s, NULL), RT_OK);
    cr_expect_eq(s.n_examples, 10);
    cr_expect_eq(s.n_labelled, 4);
    cr_expect_eq(s.step, 7);
    cr_expect_eq(s.n_steps, 0);
    cr_expect(isnan(s.loss));
    cr_expect_eq(s.wait_share, 0.5);
    cr_expect_eq(s.pull_share, 0.25);
    cr_expect(isnan(s.compute_share));
    cr_expect_eq(s.push_share, 0.125);
    cr_expect_eq(s.push_beside_share, 0.0625);
    cr_expect_float_eq(s.label_eta_s, 2.5, 1e-9);
    cr_expect_lt(s.train_eta_s, 0);
    cr_expect_str_eq(s.problem, "Redis is away");
}
