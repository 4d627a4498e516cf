/* The picture of the run as Prometheus text: /metrics, docs/stats.md. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/shell.h"
#include "coordinator/student_time.h"

/* A text being written; the first failure stays. */
typedef struct page {
    rt_buf *out;
    rt_status st;
    rt_error *err;
} page;

static void family(page *p, const char *name, const char *type, const char *help)
{
    if (p->st == RT_OK)
        p->st = rt_buf_printf(p->out, p->err, "# HELP retort_%s %s\n# TYPE retort_%s %s\n", name,
                              help, name, type);
}

static void add_value(page *p, double value)
{
    if (p->st != RT_OK) return;
    if (isnan(value))
        p->st = rt_buf_add_text(p->out, "NaN\n", p->err);
    else
        p->st = rt_buf_printf(p->out, p->err, "%.15g\n", value);
}

static void sample(page *p, const char *name, double value)
{
    if (p->st == RT_OK) p->st = rt_buf_printf(p->out, p->err, "retort_%s ", name);
    add_value(p, value);
}

/* A label's value with its three escapes. */
static void add_label(page *p, const char *key, const char *value)
{
    if (p->st == RT_OK) p->st = rt_buf_printf(p->out, p->err, "%s=\"", key);
    for (; *value != '\0' && p->st == RT_OK; value++) {
        if (*value == '\n')
            p->st = rt_buf_add_text(p->out, "\\n", p->err);
        else if (*value == '"' || *value == '\\')
            p->st = rt_buf_printf(p->out, p->err, "\\%c", *value);
        else
            p->st = rt_buf_add(p->out, value, 1, p->err);
    }
    if (p->st == RT_OK) p->st = rt_buf_add_text(p->out, "\"", p->err);
}

static void labelled(page *p, const char *name, const char *key, const char *label, double value)
{
    if (p->st == RT_OK) p->st = rt_buf_printf(p->out, p->err, "retort_%s{", name);
    add_label(p, key, label);
    if (p->st == RT_OK) p->st = rt_buf_add_text(p->out, "} ", p->err);
    add_value(p, value);
}

static void one(page *p, const char *name, const char *type, const char *help, double value)
{
    family(p, name, type, help);
    sample(p, name, value);
}

static void show_rows(page *p, const coordinator *co, const lease_counts *l)
{
    const manifest_counts *rows = corpus_source_counts(co->corpus);
    one(p, "rows_read", "gauge", "Rows read from the corpus.", (double)rows->n_rows);
    one(p, "rows_duplicate", "gauge", "Rows folded into an equal one.", (double)rows->n_duplicates);
    one(p, "rows_malformed", "gauge", "Rows that are no example.", (double)rows->n_malformed);
    family(p, "examples", "gauge", "Examples by state.");
    labelled(p, "examples", "state", "labelled", (double)archive_n_labelled(co->archive));
    labelled(p, "examples", "state", "rejected", (double)archive_n_rejected(co->archive));
    labelled(p, "examples", "state", "pending", (double)l->n_examples_pending);
    labelled(p, "examples", "state", "leased", (double)l->n_examples_leased);
    family(p, "rejected", "gauge", "Rejected examples by reason.");
    for (size_t i = 0; i < archive_n_reasons(co->archive); i++) {
        uint64_t n;
        const char *reason = archive_reason(co->archive, i, &n);
        labelled(p, "rejected", "reason", reason, (double)n);
    }
    one(p, "rationales", "gauge", "Labelled examples that have a rationale.",
        (double)archive_n_rationales(co->archive));
    one(p, "labels_archived_total", "counter", "Records put into the dataset.",
        (double)co->archiving.n_archived);
    one(p, "labels_repeated_total", "counter", "Records dropped because their id was there.",
        (double)co->archiving.n_repeated);
    one(p, "labels_buried_total", "counter", "Entries that are no record of the corpus.",
        (double)co->archiving.n_buried);
    one(p, "labelled_per_second", "gauge", "Examples labelled or rejected per second.",
        progress_rate_get(&co->label_rate));
}

static void show_leases(page *p, const lease_counts *l)
{
    family(p, "shards", "gauge", "Shards of the corpus by state.");
    labelled(p, "shards", "state", "pending", (double)l->n_shards_pending);
    labelled(p, "shards", "state", "leased", (double)l->n_shards_leased);
    labelled(p, "shards", "state", "done", (double)l->n_shards_done);
    one(p, "leases_granted_total", "counter", "Leases granted.", (double)l->n_granted);
    one(p, "leases_expired_total", "counter", "Leases that ran out.", (double)l->n_expired);
    one(p, "leases_returned_total", "counter", "Leases whose holder died.", (double)l->n_returned);
    one(p, "leases_redelivered_total", "counter", "Leases whose records vanished.",
        (double)l->n_redelivered);
}

static void show_queue(page *p, const coordinator *co)
{
    family(p, "queue_entries", "gauge", "Entries in a stream, read or not.");
    labelled(p, "queue_entries", "stream", "labels", (double)co->n_labels_in_stream);
    labelled(p, "queue_entries", "stream", "batches", (double)co->n_batches_measured);
    labelled(p, "queue_entries", "stream", "dead", (double)co->n_dead_in_stream);
    one(p, "queue_connected", "gauge", "1 when Redis answered last time.",
        queue_link_problem(co->link)[0] == '\0');
    one(p, "queue_errors_total", "counter", "Calls that Redis did not answer.",
        (double)queue_link_n_errors(co->link));
    one(p, "requeued_total", "counter", "Micro-batches put back for other students.",
        (double)co->n_requeued);
    one(p, "dead_letters_total", "counter", "Micro-batches delivered too often and put aside.",
        (double)co->n_dead_letters);
}

static void show_student_time(page *p, coordinator *co)
{
    student_time t = student_time_of(co->members);
    family(p, "student_seconds", "gauge", "What living and dead students spent on parts of steps.");
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        labelled(p, "student_seconds", "part", student_part_name(part), t.seconds[part]);
    family(p, "student_time_share", "gauge", "The same as shares of the whole.");
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        labelled(p, "student_time_share", "part", student_part_name(part),
                 student_time_share(&t, part));
    one(p, "student_push_beside_seconds", "gauge",
        "Shards' work on gradients while their students went on; in no part.", t.beside_s);
}

static void show_members(page *p, coordinator *co)
{
    static const wire_role roles[] = {ROLE_TEACHER, ROLE_STUDENT, ROLE_SERVER};
    family(p, "members", "gauge", "Processes by role and state.");
    for (size_t r = 0; r < RT_COUNT(roles); r++) {
        size_t alive = membership_n_alive(co->members, roles[r]), n = 0;
        for (size_t i = 0; i < membership_n(co->members); i++)
            n += membership_at(co->members, i)->role == roles[r];
        for (int dead = 0; dead < 2 && p->st == RT_OK; dead++)
            p->st = rt_buf_printf(p->out, p->err, "retort_members{role=\"%s\",state=\"%s\"} %zu\n",
                                  wire_role_name(roles[r]), dead ? "dead" : "alive",
                                  dead ? n - alive : alive);
    }
    family(p, "starved_seconds_total", "counter",
           "Time in which living workers had nothing to take.");
    labelled(p, "starved_seconds_total", "role", "student",
             progress_timer_get(&co->timers.students_starved, co->now_ms));
    labelled(p, "starved_seconds_total", "role", "teacher",
             progress_timer_get(&co->timers.teachers_starved, co->now_ms));
    show_student_time(p, co);
    family(p, "worker", "gauge", "Counters of the workers' heartbeats.");
    for (size_t i = 0; i < membership_n(co->members); i++) {
        const member *who = membership_at(co->members, i);
        for (size_t k = 0; who->alive && k < who->n_counters && p->st == RT_OK; k++) {
            p->st = rt_buf_add_text(p->out, "retort_worker{", p->err);
            add_label(p, "worker", who->name);
            if (p->st == RT_OK)
                p->st = rt_buf_printf(p->out, p->err, ",role=\"%s\",", wire_role_name(who->role));
            add_label(p, "name", who->counters[k].name);
            if (p->st == RT_OK) p->st = rt_buf_add_text(p->out, "} ", p->err);
            add_value(p, who->counters[k].value);
        }
    }
}

static void show_staleness(page *p, const coordinator *co)
{
    const uint64_t *n = co->metrics == NULL ? NULL : metrics_log_staleness(co->metrics);
    if (co->config->train.mode == TRAIN_SYNC || n == NULL) return;
    family(p, "gradients_total", "counter", "Micro-batches of applied steps, by versions behind.");
    for (uint64_t i = 0; i <= co->config->train.staleness_max; i++) {
        char label[24];
        snprintf(label, sizeof label, "%" PRIu64, i);
        labelled(p, "gradients_total", "behind", label, (double)n[i]);
    }
}

static void show_validation(page *p, const coordinator *co)
{
    size_t n = eval_board_n(co->board);
    const eval_score *newest = n == 0 ? NULL : eval_board_at(co->board, n - 1);
    one(p, "validation_loss", "gauge", "Loss of the newest validation.",
        newest == NULL ? NAN : newest->loss);
    one(p, "validation_exact", "gauge", "Share of exact answers of the newest validation.",
        newest == NULL ? NAN : newest->exact);
    one(p, "best_version", "gauge", "Best version so far.", (double)checkpoint_best(co));
    one(p, "checkpoint_version", "gauge", "Newest committed checkpoint.", (double)co->checkpoint);
}

static void show_training(page *p, const coordinator *co)
{
    const run_timers *t = &co->timers;
    one(p, "version", "gauge", "Version of the weights that all shards hold.",
        (double)step_control_version(co->steps));
    one(p, "steps", "gauge", "Length of the training, 0 while unknown.",
        co->plan == NULL ? 0 : (double)plan_stage_n_steps(co->plan));
    one(p, "steps_planned", "gauge", "Steps planned.",
        co->plan == NULL ? 0 : (double)plan_stage_n_planned(co->plan));
    one(p, "loss", "gauge", "Loss of the newest step, nats per target token.",
        co->metrics == NULL ? NAN : metrics_log_loss(co->metrics));
    one(p, "grad_norm", "gauge", "Norm of the newest gradient before clipping.", co->grad_norm);
    one(p, "trained_tokens_total", "counter", "Tokens of all applied steps.",
        co->metrics == NULL ? 0 : (double)metrics_log_n_tokens(co->metrics));
    one(p, "tokens_per_second", "gauge", "Tokens trained per second.",
        progress_rate_get(&co->token_rate));
    show_validation(p, co);
    one(p, "rewinds_total", "counter", "Times the shards restored an earlier version.",
        (double)step_control_n_rewinds(co->steps));
    one(p, "resends_total", "counter", "Times micro-batches were published again.",
        (double)co->feeder.n_resends);
    one(p, "backups_total", "counter", "Micro-batches given to a second student.",
        (double)co->n_backups);
    show_staleness(p, co);
    family(p, "stage_seconds", "gauge", "Time spent in a stage, restarts included.");
    labelled(p, "stage_seconds", "stage", "label", progress_timer_get(&t->label, co->now_ms));
    labelled(p, "stage_seconds", "stage", "tokenizer",
             progress_timer_get(&t->tokenizer, co->now_ms));
    labelled(p, "stage_seconds", "stage", "train", progress_timer_get(&t->train, co->now_ms));
    labelled(p, "stage_seconds", "stage", "evaluate", progress_timer_get(&t->evaluate, co->now_ms));
}

static void show_money(page *p, const coordinator *co)
{
    money_sums m;
    const limits_config *l = &co->config->limits;
    money_sum(co, &m);
    one(p, "cost_total", "counter", "Paid for teachers, in limits.currency, restarts included.",
        m.spent);
    one(p, "cost_lost_total", "counter", "What dead teachers had under way and may have paid.",
        m.lost);
    one(p, "cost_reserved", "gauge", "The most that what is under way can cost.", m.reserved);
    one(p, "cost_projected", "gauge", "Expected for the whole corpus.", m.projected);
    one(p, "budget", "gauge", "limits.budget, 0 for none.", m.budget);
    one(p, "budget_spent", "gauge", "1 when leasing has stopped because of it.",
        lease_table_is_closed(co->leases));
    one(p, "teacher_requests_total", "counter", "Requests sent by teachers under limits.",
        (double)m.quota.use.n_requests);
    family(p, "teacher_tokens_total", "counter", "Tokens of these requests.");
    labelled(p, "teacher_tokens_total", "kind", "prompt", (double)m.quota.use.n_prompt_tokens);
    labelled(p, "teacher_tokens_total", "kind", "cached", (double)m.quota.use.n_cached_tokens);
    labelled(p, "teacher_tokens_total", "kind", "completion",
             (double)m.quota.use.n_completion_tokens);
    family(p, "quota_used", "gauge", "Used of each limit now: in flight, or in the last minute.");
    labelled(p, "quota_used", "limit", "in_flight", (double)m.quota.n_in_flight);
    labelled(p, "quota_used", "limit", "requests_per_minute", (double)m.quota.requests_last_minute);
    labelled(p, "quota_used", "limit", "tokens_per_minute", (double)m.quota.tokens_last_minute);
    family(p, "quota_limit", "gauge", "The limits, 0 for none.");
    labelled(p, "quota_limit", "limit", "in_flight", (double)l->in_flight_max);
    labelled(p, "quota_limit", "limit", "requests_per_minute", (double)l->requests_per_minute);
    labelled(p, "quota_limit", "limit", "tokens_per_minute", (double)l->tokens_per_minute);
    one(p, "quota_waiting", "gauge", "Teachers that wait for a limit.", (double)m.quota.n_waiting);
    one(p, "quota_overloads_total", "counter", "Answers that said: too much at once.",
        (double)m.quota.n_overloads);
    one(p, "quota_pauses_total", "counter", "Times all teachers paused because a server wished it.",
        (double)m.quota.n_pauses);
}

static void show_net(page *p, const coordinator *co)
{
    const net_counts *n = net_server_counts(co->net);
    one(p, "messages_received_total", "counter", "Messages taken.", (double)n->n_received);
    one(p, "messages_sent_total", "counter", "Messages sent.", (double)n->n_sent);
    one(p, "messages_dropped_total", "counter", "Messages that did not decode or reach anybody.",
        (double)n->n_dropped);
    one(p, "message_bytes_in_total", "counter", "Bytes received.", (double)n->bytes_in);
    one(p, "message_bytes_out_total", "counter", "Bytes sent.", (double)n->bytes_out);
    one(p, "refusals_total", "counter", "Messages answered with a refusal.",
        (double)co->n_refusals);
    one(p, "connections_denied_total", "counter", "Connections with a key that may not come in.",
        (double)n->n_denied);
    one(p, "messages_wrong_role_total", "counter", "Messages sent with the key of another role.",
        (double)co->n_wrong_roles);
    one(p, "http_refused_total", "counter", "Requests over HTTP without a good key.",
        co->http == NULL ? 0 : (double)http_server_refused(co->http));
    one(p, "connections_failed_total", "counter", "Connections that did not speak the protocol.",
        (double)n->n_foreign);
}

rt_status show_metrics(coordinator *co, rt_buf *out, rt_error *err)
{
    page p = {.out = out, .st = RT_OK, .err = err};
    lease_counts leases;
    char scratch[256];
    lease_table_count(co->leases, &leases);
    family(&p, "build_info", "gauge", "Version of the program.");
    labelled(&p, "build_info", "version", RT_VERSION, 1);
    one(&p, "uptime_seconds", "gauge", "Since this coordinator started.",
        (double)(co->now_ms - co->start_ms) / 1000.0);
    one(&p, "problem", "gauge", "1 while something keeps the run from going on as it should.",
        show_problem(co, scratch, sizeof scratch)[0] != '\0');
    show_rows(&p, co, &leases);
    show_leases(&p, &leases);
    show_queue(&p, co);
    show_members(&p, co);
    show_training(&p, co);
    show_money(&p, co);
    show_net(&p, co);
    return p.st;
}
