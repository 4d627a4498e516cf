#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/watch/view.h"
#include "common/text/utf8.h"

static watch_data d;
static rt_buf out;

static void add_member(const char *name, const char *role, bool alive)
{
    watch_member *m = &d.members[d.n_members++];
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->role, sizeof m->role, "%s", role);
    snprintf(m->busy_with, sizeof m->busy_with, "step 120, micro-batch 3 of 4");
    m->alive = alive;
    m->silent_s = alive ? 0.2 : 65;
    m->done = 1200;
    m->per_s = 21.5;
}

/* A run in full swing: 実行 is its name. */
static void arrange(void)
{
    d.now = (run_stats){.n_examples = 3138,
                        .n_labelled = 1200,
                        .n_rejected = 14,
                        .labelled_per_s = 412,
                        .label_eta_s = 4,
                        .labels = true,
                        .trains = true,
                        .step = 120,
                        .n_steps = 2000,
                        .loss = 1.234,
                        .tokens_per_s = 31000,
                        .train_eta_s = 61,
                        .wait_share = 0.1,
                        .pull_share = 0.02,
                        .compute_share = 0.83,
                        .push_share = 0.05,
                        .push_beside_share = 0};
    snprintf(d.now.stage, sizeof d.now.stage, "labelling, training");
    snprintf(d.run, sizeof d.run, "実行");
    snprintf(d.version, sizeof d.version, "0.1.0");
    d.uptime_s = 725;
    d.n_pending = 1824;
    d.n_leased = 100;
    d.labels_queue = 12;
    d.batches_queue = 16;
    d.checkpoint = 100;
    d.peak_share = NAN;
    d.teachers = (watch_role){2, 0};
    d.students = (watch_role){2, 1};
    d.servers = (watch_role){1, 0};
    add_member("teacher-0", "teacher", true);
    add_member("teacher-1", "teacher", true);
    add_member("student-0", "student", true);
    add_member("student-1", "student", true);
    add_member("student-2", "student", false);
    add_member("server-0", "server", true);
    for (int i = 0; i < 50; i++) {
        series_point p = {.t = i, .y = {4.0 - 0.05 * i, 400 + i, 30000, 2.0 * i}};
        series_add(&d.series, &p);
    }
    for (int i = 0; i < 9; i++) {
        watch_event *e = &d.events[d.n_events++];
        e->time = 1000 + i;
        snprintf(e->kind, sizeof e->kind, "lease");
        snprintf(e->who, sizeof e->who, "teacher-0");
        snprintf(e->text, sizeof e->text, "shard %d は終わりました", i);
    }
}

static const char *drawn(view_screen screen)
{
    rt_error err = {0};
    rt_buf_clear(&out);
    if (screen.trouble == NULL) screen.trouble = "";
    screen.now_s = 1070;
    cr_assert_eq(view_draw(&d, &screen, &out, &err), RT_OK, "%s", err.text);
    return out.data;
}

static const char *drawn_live(unsigned width, unsigned height)
{
    return drawn((view_screen){.width = width, .height = height, .link = VIEW_LIVE});
}

/* Every line within `width`, at most `height` of them; escapes are not counted. */
static void expect_within(const char *text, unsigned width, unsigned height)
{
    unsigned n_lines = 0;
    char line[8192];
    for (const char *at = text;; at++) {
        size_t n = 0;
        for (; *at != '\0' && *at != '\n'; at++) {
            if (*at == '\033')
                at += strcspn(at, "m");
            else
                line[n++] = *at;
        }
        line[n] = '\0';
        n_lines++;
        cr_assert(utf8_is_valid(line, n), "%ux%u: %s", width, height, line);
        cr_assert_leq(utf8_columns(line, n), width, "%ux%u: %s", width, height, line);
        if (*at == '\0') break;
    }
    cr_assert_leq(n_lines, height, "%ux%u", width, height);
}

Test(view, fits_every_size)
{
    arrange();
    snprintf(d.now.problem, sizeof d.now.problem, "no student is alive");
    for (unsigned height = 1; height < 60; height += height < 12 ? 1 : 7)
        for (unsigned width = 1; width < 220; width += width < 100 ? 1 : 9)
            for (int colour = 0; colour < 2; colour++)
                expect_within(drawn((view_screen){.width = width,
                                                  .height = height,
                                                  .colour = colour == 1,
                                                  .link = VIEW_LIVE}),
                              width, height);
    rt_buf_free(&out);
}

Test(view, a_usual_terminal_shows_every_section)
{
    static const char *const wanted[] = {"retort 実行  labelling, training  up 12:05",
                                         "live",
                                         "label ",
                                         "1,200/3,138",
                                         "train ",
                                         "step 120/2,000",
                                         "83 % computing",
                                         "corpus",
                                         "LABELS",
                                         "31k tok/s",
                                         "loss",
                                         "labels/s",
                                         "tokens/s",
                                         "workers  5 alive, 1 dead",
                                         "events",
                                         "shard 8 は終わりました",
                                         "q leaves"};
    arrange();
    const char *text = drawn_live(80, 24);
    for (size_t i = 0; i < RT_COUNT(wanted); i++)
        cr_expect_not_null(strstr(text, wanted[i]), "%s is missing in\n%s", wanted[i], text);
    cr_expect_null(strchr(text, '\033'), "no colours were asked for");
    rt_buf_free(&out);
}

Test(view, a_large_terminal_is_used)
{
    arrange();
    const char *text = drawn_live(160, 50);
    cr_expect_not_null(strstr(text, "saved 100"));
    unsigned n_lines = 1;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) n_lines++;
    cr_expect_not_null(strstr(text, "server-0"), "all workers");
    cr_expect_not_null(strstr(text, "shard 0 "), "all events");
    cr_expect_geq(n_lines, 36);
    rt_buf_free(&out);
}

Test(view, the_problem_is_there_on_the_smallest_screen)
{
    arrange();
    snprintf(d.now.problem, sizeof d.now.problem, "Redis is away");
    cr_expect_not_null(strstr(drawn_live(20, 2), "! Redis is away"));
    rt_buf_free(&out);
}

Test(view, the_dead_come_first_where_workers_do_not_fit)
{
    arrange();
    const char *text = drawn_live(80, 20);
    const char *dead = strstr(text, "student-2"), *living = strstr(text, "teacher-0");
    cr_assert_not_null(dead, "%s", text);
    cr_expect(living == NULL || dead < living);
    cr_expect_not_null(strstr(text, "silent for 1:05"));
    rt_buf_free(&out);
}

Test(view, who_left_after_the_work_was_done_is_not_among_the_dead)
{
    arrange();
    d.teachers = (watch_role){1, 1};
    d.members[1].alive = false;
    d.now.labelling_done = true;
    const char *text = drawn_live(100, 40);
    cr_expect_not_null(strstr(text, "workers  4 alive, 1 dead, 1 left"), "%s", text);
    cr_expect_not_null(strstr(text, "teacher-1       left"));
    cr_expect_lt(strstr(text, "server-0"), strstr(text, "teacher-1"), "and comes last");
    rt_buf_free(&out);
}

Test(view, what_the_link_is_like_stands_at_the_right)
{
    arrange();
    const char *text = drawn((view_screen){
        .width = 80, .height = 24, .link = VIEW_LOST, .silent_s = 65, .trouble = "refused"});
    cr_expect_not_null(strstr(text, "no answer for 1:05\n! refused\n"), "%s", text);
    cr_expect_not_null(strstr(text, "1,200/3,138"), "the last picture stays");
    text = drawn((view_screen){.width = 80, .height = 24, .link = VIEW_ENDED});
    cr_expect_not_null(strstr(text, "ended\n"));
    rt_buf_free(&out);
}

Test(view, before_the_first_answer_there_is_only_why)
{
    const char *text = drawn((view_screen){
        .width = 40, .height = 24, .link = VIEW_WAITING, .trouble = "no coordinator has run here"});
    cr_expect_not_null(strstr(text, "waiting\n! no coordinator has run here\n"), "%s", text);
    cr_expect_null(strstr(text, "corpus"));
    rt_buf_free(&out);
}

Test(view, only_the_parts_of_the_run_are_drawn)
{
    arrange();
    d.now.trains = false;
    const char *text = drawn_live(80, 24);
    cr_expect_not_null(strstr(text, "teachers"));
    cr_expect_null(strstr(text, "students"));
    cr_expect_null(strstr(text, "train "));
    d.now.trains = true;
    d.now.labels = false;
    text = drawn_live(80, 24);
    cr_expect_null(strstr(text, "LABELS"));
    cr_expect_not_null(strstr(text, "BATCHES"));
    rt_buf_free(&out);
}

Test(view, the_additions_of_newer_coordinators_are_shown)
{
    arrange();
    snprintf(d.starved, sizeof d.starved, "students wait for labels");
    snprintf(d.losses[0].task, sizeof d.losses[0].task, "predict");
    d.losses[0].value = 1.2;
    d.n_losses = 1;
    d.mflops_per_s = 12345;
    d.peak_share = 0.31;
    d.scores[0] = (watch_score){100, 0.832};
    d.n_scores = 1;
    d.restarts = 1;
    const char *text = drawn_live(120, 40);
    cr_expect_not_null(strstr(text, "students wait for labels"));
    cr_expect_not_null(strstr(text, "predict 1.20"));
    cr_expect_not_null(strstr(text, "12.3 GFLOP/s, 31 % of the peak"));
    cr_expect_not_null(strstr(text, "83.2 %"));
    cr_expect_not_null(strstr(text, "1 restart"));
    rt_buf_free(&out);
}
