/* Who waits for whom, speed and accuracy: parts of the picture of the run. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "common/stats/wilson.h"
#include "coordinator/member_sums.h"
#include "coordinator/shell.h"
#include "coordinator/student_time.h"

void run_view_of(const coordinator *co, run_view *out)
{
    quota_sums limits;
    lease_counts leases;
    student_time time = student_time_of(co->members);
    step_state state = step_control_state(co->steps);
    uint64_t version = step_control_version(co->steps);
    uint64_t n_steps = co->plan == NULL ? 0 : plan_stage_n_steps(co->plan);
    bool planned_out = co->plan != NULL && plan_stage_n_planned(co->plan) <= version &&
                       (n_steps == 0 || version < n_steps);
    quota_sum(co->money.book.quota, co->now_ms, &limits);
    lease_table_count(co->leases, &leases);
    *out = (run_view){.ends = co->ending != RUN_GOES_ON,
                      .labels = !labelling_is_done(co),
                      .trains = co->stage != STAGE_LABEL && !train_stage_is_done(co),
                      .connected = queue_link_problem(co->link)[0] == '\0',
                      .queue_why = queue_link_problem(co->link),
                      .n_teachers = membership_n_alive(co->members, ROLE_TEACHER),
                      .n_students = membership_n_alive(co->members, ROLE_STUDENT),
                      .n_servers = membership_n_alive(co->members, ROLE_SERVER),
                      .n_servers_wanted = co->config->launch.servers,
                      .n_shards_pending = leases.n_shards_pending,
                      .n_shards_leased = leases.n_shards_leased,
                      .n_labels_in_stream = co->n_labels_in_stream,
                      .n_labels_max = co->config->queue.labels_max,
                      .n_waiting_for_limit = limits.n_waiting,
                      .money_is_out = lease_table_is_closed(co->leases),
                      .first_rows = co->smoke.state == SMOKE_WAITING,
                      .plan_is_there = co->plan != NULL,
                      .waits_for_labels = planned_out,
                      .tokenizer_trains =
                          co->tokenizer != NULL && tokenizer_stage_is_training(co->tokenizer),
                      .restores = state <= STEP_RESTORING,
                      .saves = state == STEP_SAVING || state == STEP_COMMITTING,
                      .validates = state == STEP_EVALUATING,
                      .batches_known = co->batches_known,
                      .n_batches_in_stream = co->n_batches_in_stream,
                      .wait_share = student_time_share(&time, STUDENT_TIME_WAIT)};
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *losses_now(const coordinator *co)
{
    json_t *top = json_object();
    const double *losses = co->metrics == NULL ? NULL : metrics_log_losses(co->metrics);
    for (int t = 0; losses != NULL && t < TASK_COUNT; t++)
        if (isfinite(losses[t]))
            json_object_set_new(top, student_task_name((student_task)t), json_real(losses[t]));
    return top;
}

void answers_of_teachers(const coordinator *co, answer_counts *out)
{
    *out = (answer_counts){archive_n_gold_equal(co->archive), archive_n_gold(co->archive)};
}

void answers_of_student(const coordinator *co, answer_counts *out)
{
    size_t n = eval_board_n(co->board);
    student_task task = eval_board_answer_task(co->board);
    *out = (answer_counts){0};
    if (n == 0) return;
    const wire_sums *sums = &eval_board_at(co->board, n - 1)->sums;
    *out = (answer_counts){RT_MIN(sums->n_exact[task], sums->n_seqs[task]), sums->n_seqs[task]};
}

/* The share and its interval; null for none. */
static json_t *accuracy_of(const answer_counts *c)
{
    double low, high;
    if (c->n == 0) return json_null();
    wilson_interval(c->n_right, c->n, &low, &high);
    return json_pack("{s:f, s:f, s:f, s:I}", "value", (double)c->n_right / (double)c->n, "low", low,
                     "high", high, "n", (json_int_t)c->n);
}

void show_view_json(const coordinator *co, json_t *top)
{
    char now[160];
    run_view view;
    answer_counts teachers, student;
    compute_rate c = compute_rate_of(co->members, progress_rate_get(&co->token_rate));
    run_view_of(co, &view);
    starved_sentence(&view, now, sizeof now);
    json_object_set_new(top, "losses", losses_now(co));
    json_object_set_new(top, "compute",
                        json_pack("{s:f, s:o, s:o}", "mflops_per_s",
                                  isfinite(c.mflops_per_s) ? c.mflops_per_s : 0.0,
                                  "peak_mflops_per_s", number(c.peak_mflops_per_s), "peak_share",
                                  number(c.peak_share)));
    json_object_set_new(
        top, "starved",
        json_pack("{s:f, s:f, s:s}", "student_s",
                  progress_timer_get(&co->timers.students_starved, co->now_ms), "teacher_s",
                  progress_timer_get(&co->timers.teachers_starved, co->now_ms), "now", now));
    json_object_set_new(top, "restarts", json_integer((json_int_t)co->n_restarts));
    json_object_set_new(
        top, "retries",
        json_pack("{s:I, s:I}", "requests",
                  (json_int_t)member_sum(co->members, ROLE_TEACHER, "request_retries"), "rows",
                  (json_int_t)member_sum(co->members, ROLE_TEACHER, "retries")));
    answers_of_teachers(co, &teachers);
    answers_of_student(co, &student);
    json_object_set_new(top, "accuracy",
                        json_pack("{s:o, s:o}", "teacher", accuracy_of(&teachers), "student",
                                  accuracy_of(&student)));
}
