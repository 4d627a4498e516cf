/* The picture of the run as Prometheus text: /metrics, docs/stats.md. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/member_sums.h"
#include "coordinator/metrics_page.h"
#include "coordinator/shell.h"
#include "coordinator/student_time.h"

static void show_rows(metrics_page *p, const coordinator *co, const lease_counts *l)
{
    const manifest_counts *rows = corpus_source_counts(co->corpus);
    metrics_one(p, "rows_read", "gauge", "Rows read from the corpus.", (double)rows->n_rows);
    metrics_one(p, "rows_duplicate", "gauge", "Rows folded into an equal one.",
                (double)rows->n_duplicates);
    metrics_one(p, "rows_malformed", "gauge", "Rows that are no example.",
                (double)rows->n_malformed);
    metrics_family(p, "examples", "gauge", "Examples by state.");
    metrics_labelled(p, "examples", "state", "labelled", (double)archive_n_labelled(co->archive));
    metrics_labelled(p, "examples", "state", "rejected", (double)archive_n_rejected(co->archive));
    metrics_labelled(p, "examples", "state", "pending", (double)l->n_examples_pending);
    metrics_labelled(p, "examples", "state", "leased", (double)l->n_examples_leased);
    metrics_family(p, "rejected", "gauge", "Rejected examples by reason.");
    for (size_t i = 0; i < archive_n_reasons(co->archive); i++) {
        uint64_t n;
        const char *reason = archive_reason(co->archive, i, &n);
        metrics_labelled(p, "rejected", "reason", reason, (double)n);
    }
    metrics_one(p, "rationales", "gauge", "Labelled examples that have a rationale.",
                (double)archive_n_rationales(co->archive));
    metrics_one(p, "labels_archived_total", "counter", "Records put into the dataset.",
                (double)co->archiving.n_archived);
    metrics_one(p, "labels_repeated_total", "counter",
                "Records dropped because their id was there.", (double)co->archiving.n_repeated);
    metrics_one(p, "labels_buried_total", "counter", "Entries that are no record of the corpus.",
                (double)co->archiving.n_buried);
    metrics_one(p, "labelled_per_second", "gauge", "Examples labelled or rejected per second.",
                progress_rate_get(&co->label_rate));
}

static void show_leases(metrics_page *p, const lease_counts *l)
{
    metrics_family(p, "shards", "gauge", "Shards of the corpus by state.");
    metrics_labelled(p, "shards", "state", "pending", (double)l->n_shards_pending);
    metrics_labelled(p, "shards", "state", "leased", (double)l->n_shards_leased);
    metrics_labelled(p, "shards", "state", "done", (double)l->n_shards_done);
    metrics_one(p, "leases_granted_total", "counter", "Leases granted.", (double)l->n_granted);
    metrics_one(p, "leases_expired_total", "counter", "Leases that ran out.", (double)l->n_expired);
    metrics_one(p, "leases_returned_total", "counter", "Leases whose holder died.",
                (double)l->n_returned);
    metrics_one(p, "leases_redelivered_total", "counter", "Leases whose records vanished.",
                (double)l->n_redelivered);
}

static void show_queue(metrics_page *p, const coordinator *co)
{
    metrics_family(p, "queue_entries", "gauge", "Entries in a stream, read or not.");
    metrics_labelled(p, "queue_entries", "stream", "labels", (double)co->n_labels_in_stream);
    metrics_labelled(p, "queue_entries", "stream", "batches", (double)co->n_batches_measured);
    metrics_labelled(p, "queue_entries", "stream", "dead", (double)co->n_dead_in_stream);
    metrics_one(p, "queue_connected", "gauge", "1 when Redis answered last time.",
                queue_link_problem(co->link)[0] == '\0');
    metrics_one(p, "queue_errors_total", "counter", "Calls that Redis did not answer.",
                (double)queue_link_n_errors(co->link));
    metrics_one(p, "requeued_total", "counter", "Micro-batches put back for other students.",
                (double)co->n_requeued);
    metrics_one(p, "dead_letters_total", "counter",
                "Micro-batches delivered too often and put aside.", (double)co->n_dead_letters);
}

static void show_student_time(metrics_page *p, coordinator *co)
{
    student_time t = student_time_of(co->members);
    metrics_family(p, "student_seconds", "gauge",
                   "What living and dead students spent on parts of steps.");
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        metrics_labelled(p, "student_seconds", "part", student_part_name(part), t.seconds[part]);
    metrics_family(p, "student_time_share", "gauge", "The same as shares of the whole.");
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        metrics_labelled(p, "student_time_share", "part", student_part_name(part),
                         student_time_share(&t, part));
    metrics_one(p, "student_push_beside_seconds", "gauge",
                "Shards' work on gradients while their students went on; in no part.", t.beside_s);
}

static void show_members(metrics_page *p, coordinator *co)
{
    static const wire_role roles[] = {ROLE_TEACHER, ROLE_STUDENT, ROLE_SERVER};
    metrics_family(p, "members", "gauge", "Processes by role and state.");
    for (size_t r = 0; r < RT_COUNT(roles); r++) {
        size_t alive = membership_n_alive(co->members, roles[r]), n = 0;
        for (size_t i = 0; i < membership_n(co->members); i++)
            n += membership_at(co->members, i)->role == roles[r];
        for (int dead = 0; dead < 2; dead++) {
            metrics_label labels[] = {{"role", wire_role_name(roles[r])},
                                      {"state", dead ? "dead" : "alive"}};
            metrics_sample(p, "members", labels, 2, (double)(dead ? n - alive : alive));
        }
    }
    metrics_family(p, "starved_seconds_total", "counter",
                   "Time in which living workers had nothing to take.");
    metrics_labelled(p, "starved_seconds_total", "role", "student",
                     progress_timer_get(&co->timers.students_starved, co->now_ms));
    metrics_labelled(p, "starved_seconds_total", "role", "teacher",
                     progress_timer_get(&co->timers.teachers_starved, co->now_ms));
    show_student_time(p, co);
    metrics_family(p, "worker", "gauge", "Counters of the workers' heartbeats.");
    for (size_t i = 0; i < membership_n(co->members); i++) {
        const member *who = membership_at(co->members, i);
        for (size_t k = 0; who->alive && k < who->told.n_counters; k++) {
            metrics_label labels[] = {{"worker", who->name},
                                      {"role", wire_role_name(who->role)},
                                      {"name", who->told.counters[k].name}};
            metrics_sample(p, "worker", labels, 3, who->told.counters[k].value);
        }
    }
}

/* What heartbeats carry as histograms, merged over all workers of the role. */
static void show_durations(metrics_page *p, coordinator *co)
{
    static const struct {
        wire_role role;
        const char *told, *name, *help;
    } all[] = {
        {ROLE_TEACHER, "request_seconds", "teacher_request_seconds",
         "Requests to teachers' servers, from sending to the whole answer."},
        {ROLE_STUDENT, "compute_seconds", "student_compute_seconds",
         "Forward and backward of a micro-batch."},
        {ROLE_STUDENT, "pull_seconds", "student_pull_seconds",
         "Parameters of a micro-batch on their way, once the shards had them."},
        {ROLE_STUDENT, "push_seconds", "student_push_seconds",
         "Handing over a gradient, and waiting for shards to answer."},
        {ROLE_SERVER, "apply_seconds", "server_apply_seconds", "The optimizer's work on a step."},
    };
    for (size_t i = 0; i < RT_COUNT(all); i++) {
        time_histogram h;
        member_durations(co->members, all[i].role, all[i].told, &h);
        metrics_durations(p, all[i].name, all[i].help, &h);
    }
}

static void show_restarts(metrics_page *p, coordinator *co)
{
    metrics_one(p, "restarts_total", "counter", "Processes replaced before they were through.",
                (double)co->n_restarts);
    metrics_family(p, "retries_total", "counter", "What teachers asked again.");
    metrics_labelled(p, "retries_total", "of", "requests",
                     member_sum(co->members, ROLE_TEACHER, "request_retries"));
    metrics_labelled(p, "retries_total", "of", "rows",
                     member_sum(co->members, ROLE_TEACHER, "retries"));
}

static void show_accuracy(metrics_page *p, const coordinator *co)
{
    answer_counts counts[2];
    static const char *const roles[] = {"teacher", "student"};
    answers_of_teachers(co, &counts[0]);
    answers_of_student(co, &counts[1]);
    metrics_family(p, "accuracy", "gauge",
                   "Teachers: labels that equal gold. Student: exact ones.");
    for (size_t i = 0; i < RT_COUNT(counts); i++)
        metrics_labelled(p, "accuracy", "role", roles[i],
                         counts[i].n == 0 ? NAN : (double)counts[i].n_right / (double)counts[i].n);
    metrics_family(p, "accuracy_rows", "gauge", "Rows that the accuracy is a share of.");
    for (size_t i = 0; i < RT_COUNT(counts); i++)
        metrics_labelled(p, "accuracy_rows", "role", roles[i], (double)counts[i].n);
}

static void show_speed(metrics_page *p, coordinator *co)
{
    compute_rate c = compute_rate_of(co->members, progress_rate_get(&co->token_rate));
    metrics_one(p, "mflops_per_second", "gauge", "Speed of training, 10^6 operations a second.",
                c.mflops_per_s);
    metrics_one(p, "peak_mflops_per_second", "gauge",
                "What the students' processors reach in a plain product.", c.peak_mflops_per_s);
    metrics_one(p, "peak_share", "gauge", "The one as a share of the other.", c.peak_share);
}

static void show_losses(metrics_page *p, const coordinator *co)
{
    const double *losses = co->metrics == NULL ? NULL : metrics_log_losses(co->metrics);
    metrics_family(p, "task_loss", "gauge", "Loss of the newest step by task, nats per token.");
    for (int t = 0; losses != NULL && t < TASK_COUNT; t++)
        if (isfinite(losses[t]))
            metrics_labelled(p, "task_loss", "task", student_task_name((student_task)t), losses[t]);
}

static void show_staleness(metrics_page *p, const coordinator *co)
{
    const uint64_t *n = co->metrics == NULL ? NULL : metrics_log_staleness(co->metrics);
    if (co->config->train.mode == TRAIN_SYNC || n == NULL) return;
    metrics_family(p, "gradients_total", "counter",
                   "Micro-batches of applied steps, by versions behind.");
    for (uint64_t i = 0; i <= co->config->train.staleness_max; i++) {
        char label[24];
        snprintf(label, sizeof label, "%" PRIu64, i);
        metrics_labelled(p, "gradients_total", "behind", label, (double)n[i]);
    }
}

static void show_validation(metrics_page *p, const coordinator *co)
{
    size_t n = eval_board_n(co->board);
    const eval_score *newest = n == 0 ? NULL : eval_board_at(co->board, n - 1);
    metrics_one(p, "validation_loss", "gauge", "Loss of the newest validation.",
                newest == NULL ? NAN : newest->loss);
    metrics_one(p, "validation_exact", "gauge", "Share of exact answers of the newest validation.",
                newest == NULL ? NAN : newest->exact);
    metrics_one(p, "best_version", "gauge", "Best version so far.", (double)checkpoint_best(co));
    metrics_one(p, "checkpoint_version", "gauge", "Newest committed checkpoint.",
                (double)co->checkpoint);
}

static void show_training(metrics_page *p, const coordinator *co)
{
    const run_timers *t = &co->timers;
    metrics_one(p, "version", "gauge", "Version of the weights that all shards hold.",
                (double)step_control_version(co->steps));
    metrics_one(p, "steps", "gauge", "Length of the training, 0 while unknown.",
                co->plan == NULL ? 0 : (double)plan_stage_n_steps(co->plan));
    metrics_one(p, "steps_planned", "gauge", "Steps planned.",
                co->plan == NULL ? 0 : (double)plan_stage_n_planned(co->plan));
    metrics_one(p, "loss", "gauge", "Loss of the newest step, nats per target token.",
                co->metrics == NULL ? NAN : metrics_log_loss(co->metrics));
    show_losses(p, co);
    metrics_one(p, "grad_norm", "gauge", "Norm of the newest gradient before clipping.",
                co->grad_norm);
    metrics_one(p, "trained_tokens_total", "counter", "Tokens of all applied steps.",
                co->metrics == NULL ? 0 : (double)metrics_log_n_tokens(co->metrics));
    metrics_one(p, "tokens_per_second", "gauge", "Tokens trained per second.",
                progress_rate_get(&co->token_rate));
    show_validation(p, co);
    metrics_one(p, "rewinds_total", "counter", "Times the shards restored an earlier version.",
                (double)step_control_n_rewinds(co->steps));
    metrics_one(p, "resends_total", "counter", "Times micro-batches were published again.",
                (double)co->feeder.n_resends);
    metrics_one(p, "backups_total", "counter", "Micro-batches given to a second student.",
                (double)co->n_backups);
    show_staleness(p, co);
    metrics_family(p, "stage_seconds", "gauge", "Time spent in a stage, restarts included.");
    metrics_labelled(p, "stage_seconds", "stage", "label",
                     progress_timer_get(&t->label, co->now_ms));
    metrics_labelled(p, "stage_seconds", "stage", "tokenizer",
                     progress_timer_get(&t->tokenizer, co->now_ms));
    metrics_labelled(p, "stage_seconds", "stage", "train",
                     progress_timer_get(&t->train, co->now_ms));
    metrics_labelled(p, "stage_seconds", "stage", "evaluate",
                     progress_timer_get(&t->evaluate, co->now_ms));
}

static void show_money(metrics_page *p, const coordinator *co)
{
    money_sums m;
    const limits_config *l = &co->config->limits;
    money_sum(co, &m);
    metrics_one(p, "cost_total", "counter",
                "Paid for teachers, in limits.currency, restarts included.", m.spent);
    metrics_one(p, "cost_lost_total", "counter",
                "What dead teachers had under way and may have paid.", m.lost);
    metrics_one(p, "cost_reserved", "gauge", "The most that what is under way can cost.",
                m.reserved);
    metrics_one(p, "cost_projected", "gauge", "Expected for the whole corpus.", m.projected);
    metrics_one(p, "budget", "gauge", "limits.budget, 0 for none.", m.budget);
    metrics_one(p, "budget_spent", "gauge", "1 when leasing has stopped because of it.",
                lease_table_is_closed(co->leases));
    metrics_one(p, "teacher_requests_total", "counter", "Requests sent by teachers under limits.",
                (double)m.quota.use.n_requests);
    metrics_family(p, "teacher_tokens_total", "counter", "Tokens of these requests.");
    metrics_labelled(p, "teacher_tokens_total", "kind", "prompt",
                     (double)m.quota.use.n_prompt_tokens);
    metrics_labelled(p, "teacher_tokens_total", "kind", "cached",
                     (double)m.quota.use.n_cached_tokens);
    metrics_labelled(p, "teacher_tokens_total", "kind", "completion",
                     (double)m.quota.use.n_completion_tokens);
    metrics_family(p, "quota_used", "gauge",
                   "Used of each limit now: in flight, or in the last minute.");
    metrics_labelled(p, "quota_used", "limit", "in_flight", (double)m.quota.n_in_flight);
    metrics_labelled(p, "quota_used", "limit", "requests_per_minute",
                     (double)m.quota.requests_last_minute);
    metrics_labelled(p, "quota_used", "limit", "tokens_per_minute",
                     (double)m.quota.tokens_last_minute);
    metrics_family(p, "quota_limit", "gauge", "The limits, 0 for none.");
    metrics_labelled(p, "quota_limit", "limit", "in_flight", (double)l->in_flight_max);
    metrics_labelled(p, "quota_limit", "limit", "requests_per_minute",
                     (double)l->requests_per_minute);
    metrics_labelled(p, "quota_limit", "limit", "tokens_per_minute", (double)l->tokens_per_minute);
    metrics_one(p, "quota_waiting", "gauge", "Teachers that wait for a limit.",
                (double)m.quota.n_waiting);
    metrics_one(p, "quota_overloads_total", "counter", "Answers that said: too much at once.",
                (double)m.quota.n_overloads);
    metrics_one(p, "quota_pauses_total", "counter",
                "Times all teachers paused because a server wished it.", (double)m.quota.n_pauses);
}

static void show_net(metrics_page *p, const coordinator *co)
{
    const net_counts *n = net_server_counts(co->net);
    metrics_one(p, "messages_received_total", "counter", "Messages taken.", (double)n->n_received);
    metrics_one(p, "messages_sent_total", "counter", "Messages sent.", (double)n->n_sent);
    metrics_one(p, "messages_dropped_total", "counter",
                "Messages that did not decode or reach anybody.", (double)n->n_dropped);
    metrics_one(p, "message_bytes_in_total", "counter", "Bytes received.", (double)n->bytes_in);
    metrics_one(p, "message_bytes_out_total", "counter", "Bytes sent.", (double)n->bytes_out);
    metrics_one(p, "refusals_total", "counter", "Messages answered with a refusal.",
                (double)co->n_refusals);
    metrics_one(p, "connections_denied_total", "counter",
                "Connections with a key that may not come in.", (double)n->n_denied);
    metrics_one(p, "messages_wrong_role_total", "counter",
                "Messages sent with the key of another role.", (double)co->n_wrong_roles);
    metrics_one(p, "http_refused_total", "counter", "Requests over HTTP without a good key.",
                co->http == NULL ? 0 : (double)http_server_refused(co->http));
    metrics_one(p, "http_streams", "gauge", "Readers of /api/stream now.",
                co->http == NULL ? 0 : (double)http_server_n_streams(co->http));
    metrics_one(p, "connections_failed_total", "counter",
                "Connections that did not speak the protocol.", (double)n->n_foreign);
}

rt_status show_metrics(coordinator *co, rt_buf *out, rt_error *err)
{
    metrics_page p = {.out = out, .err = err};
    lease_counts leases;
    char scratch[256];
    lease_table_count(co->leases, &leases);
    metrics_family(&p, "build_info", "gauge", "Version of the program.");
    metrics_labelled(&p, "build_info", "version", RT_VERSION, 1);
    metrics_one(&p, "uptime_seconds", "gauge", "Since this coordinator started.",
                (double)(co->now_ms - co->start_ms) / 1000.0);
    metrics_one(&p, "problem", "gauge",
                "1 while something keeps the run from going on as it should.",
                show_problem(co, scratch, sizeof scratch)[0] != '\0');
    show_rows(&p, co, &leases);
    show_leases(&p, &leases);
    show_queue(&p, co);
    show_members(&p, co);
    show_restarts(&p, co);
    show_durations(&p, co);
    show_speed(&p, co);
    show_accuracy(&p, co);
    show_training(&p, co);
    show_money(&p, co);
    show_net(&p, co);
    return p.st;
}
