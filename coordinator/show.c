/* The picture of the run as JSON: /api/stats, docs/stats.md. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "coordinator/shell.h"
#include "coordinator/student_time.h"

#define SHOW_MS 250

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* An unknown time is negative. */
static json_t *eta(double seconds)
{
    return seconds < 0 ? json_null() : number(seconds);
}

static void add_word(char *text, size_t n_text, const char *word)
{
    size_t n = strlen(text);
    snprintf(text + n, n_text - n, "%s%s", n > 0 ? ", " : "", word);
}

static void describe(const coordinator *co, char *out, size_t n_out)
{
    out[0] = '\0';
    if (co->ending == RUN_DRAINING) add_word(out, n_out, "draining");
    if (co->ending == RUN_FAILED) add_word(out, n_out, "failed");
    if (co->ending == RUN_COMPLETE) add_word(out, n_out, "finished");
    if (out[0] != '\0') return;
    if (!labelling_is_done(co))
        add_word(out, n_out,
                 lease_table_is_closed(co->leases) ? "labelling what is paid" : "labelling");
    if (labelling_is_done(co) && train_stage_is_done(co))
        add_word(out, n_out, "summing up the dataset");
    if (co->stage == STAGE_LABEL || train_stage_is_done(co)) return;
    if (tokenizer_stage_is_training(co->tokenizer))
        add_word(out, n_out, "training the tokenizer");
    else if (co->evaluating)
        add_word(out, n_out, "validating");
    else if (co->steps_ready && step_control_state(co->steps) >= STEP_GATHERING)
        add_word(out, n_out, "training");
    else if (co->steps_ready)
        add_word(out, n_out, "waiting for the parameter servers");
    else if (labelling_is_done(co))
        add_word(out, n_out, "planning");
}

/* One teacher's server is mostly every teacher's. */
static const member *teacher_in_trouble(const coordinator *co)
{
    for (size_t i = 0; i < membership_n(co->members); i++) {
        const member *who = membership_at(co->members, i);
        if (who->alive && who->role == ROLE_TEACHER &&
            member_tally_value(&who->told, "server_fails") > 0)
            return who;
    }
    return NULL;
}

/* Who is not there, or cannot work; NULL: nobody. */
static const char *member_problem(const coordinator *co, char *scratch, size_t n_scratch)
{
    bool trains = co->stage != STAGE_LABEL && co->steps_ready && !train_stage_is_done(co);
    for (uint32_t i = 0; trains && i < co->config->launch.servers; i++) {
        if (membership_server(co->members, i) != NULL) continue;
        snprintf(scratch, n_scratch, "server-%u (a shard of the parameter server) is missing", i);
        return scratch;
    }
    if (trains && membership_n_alive(co->members, ROLE_STUDENT) == 0) return "no student is alive";
    if (labelling_is_done(co)) return NULL;
    if (membership_n_alive(co->members, ROLE_TEACHER) == 0) return "no teacher is alive";
    const member *who = teacher_in_trouble(co);
    if (who == NULL) return NULL;
    snprintf(scratch, n_scratch, "%s: %s", who->name, who->busy_with);
    return scratch;
}

const char *show_problem(const coordinator *co, char *scratch, size_t n_scratch)
{
    if (co->ending == RUN_FAILED) return co->why.text;
    if (co->ending != RUN_GOES_ON) return "";
    if (co->problem[0] != '\0') return co->problem;
    if (co->archiving.problem[0] != '\0') return co->archiving.problem;
    if (queue_link_problem(co->link)[0] != '\0') return queue_link_problem(co->link);
    if (co->n_dead_in_stream > 0) {
        snprintf(
            scratch, n_scratch,
            "%llu entries were put aside in the stream %s (unreadable, or delivered more often "
            "than queue.deliveries_max), the newest: %s",
            (unsigned long long)co->n_dead_in_stream, queue_link_names(co->link)->dead,
            co->put_aside);
        return scratch;
    }
    const char *money = show_money_problem(co, scratch, n_scratch);
    /* Everybody needs a moment to arrive. */
    if (co->now_ms - co->start_ms < co->config->net.dead_after_ms) return money;
    const char *missing = member_problem(co, scratch, n_scratch);
    return missing != NULL ? missing : money;
}

static json_t *show_rows(const coordinator *co, const lease_counts *leases)
{
    const manifest_counts *rows = corpus_source_counts(co->corpus);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "read", count(rows->n_rows),
                     "duplicates", count(rows->n_duplicates), "malformed", count(rows->n_malformed),
                     "total", count(rows->n_examples), "labelled",
                     count(archive_n_labelled(co->archive)), "rejected",
                     count(archive_n_rejected(co->archive)), "pending",
                     count(leases->n_examples_pending), "leased", count(leases->n_examples_leased),
                     "rationales", count(archive_n_rationales(co->archive)));
}

static json_t *show_reasons(const coordinator *co)
{
    json_t *reasons = json_object();
    for (size_t i = 0; i < archive_n_reasons(co->archive); i++) {
        uint64_t n;
        const char *name = archive_reason(co->archive, i, &n);
        json_object_set_new(reasons, name, count(n));
    }
    return reasons;
}

static json_t *show_member(const coordinator *co, const member *who)
{
    json_t *counters = json_object();
    for (size_t i = 0; i < who->told.n_counters; i++)
        json_object_set_new(counters, who->told.counters[i].name,
                            number(who->told.counters[i].value));
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:s, s:o}", "name", who->name, "role",
                     wire_role_name(who->role), "state", who->alive ? "alive" : "dead", "shard",
                     (json_int_t)who->shard, "host", who->host, "pid", (json_int_t)who->pid,
                     "silent_ms", (json_int_t)(co->now_ms - who->seen_ms), "busy_with",
                     who->busy_with, "counters", counters);
}

static json_t *show_members(const coordinator *co)
{
    json_t *list = json_array();
    for (size_t i = 0; i < membership_n(co->members); i++) {
        const member *who = membership_at(co->members, i);
        json_t *one = show_member(co, who);
        if (one != NULL) json_array_append_new(list, one); /* NULL: a text that is not UTF-8 */
    }
    return list;
}

static json_t *show_best(const coordinator *co)
{
    const eval_score *best = eval_board_best(co->board);
    if (best == NULL) return json_null();
    return json_pack("{s:o, s:s, s:o, s:o}", "version", count(best->version), "metric",
                     eval_board_metric_name(co->board), "value",
                     number(eval_board_metric(co->board, best)), "records", count(best->n_records));
}

static json_t *show_leases(const lease_counts *l)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "shards", count(l->n_shards), "pending",
                     count(l->n_shards_pending), "leased", count(l->n_shards_leased), "done",
                     count(l->n_shards_done), "expired", count(l->n_expired), "returned",
                     count(l->n_returned), "redelivered", count(l->n_redelivered));
}

static json_t *show_student_time(const coordinator *co)
{
    json_t *shares = json_object();
    student_time t = student_time_of(co->members);
    for (student_part part = 0; part < STUDENT_TIME_PARTS; part++)
        json_object_set_new(shares, student_part_name(part), number(student_time_share(&t, part)));
    json_object_set_new(shares, "push_beside", number(student_time_beside_share(&t)));
    return shares;
}

static json_t *show_seconds(const coordinator *co)
{
    const run_timers *t = &co->timers;
    return json_pack("{s:f, s:f, s:f, s:f}", "label", progress_timer_get(&t->label, co->now_ms),
                     "tokenizer", progress_timer_get(&t->tokenizer, co->now_ms), "train",
                     progress_timer_get(&t->train, co->now_ms), "evaluate",
                     progress_timer_get(&t->evaluate, co->now_ms));
}

static void add_training(const coordinator *co, json_t *top)
{
    uint64_t n_steps = co->plan == NULL ? 0 : plan_stage_n_steps(co->plan);
    uint64_t version = step_control_version(co->steps);
    double left = -1, rate = progress_rate_get(&co->token_rate);
    if (n_steps > 0 && version > 0 && rate > 0) /* steps hold like numbers of tokens */
        left = (double)(n_steps - RT_MIN(version, n_steps)) *
               ((double)metrics_log_n_tokens(co->metrics) / (double)version) / rate;
    if (train_stage_is_done(co)) left = 0;
    uint64_t n_left = corpus_source_n(co->corpus) - archive_n_labelled(co->archive) -
                      archive_n_rejected(co->archive);
    double label_left = labelling_is_done(co) ? 0 : progress_eta_s(&co->label_rate, (double)n_left);
    json_object_set_new(top, "step", count(version));
    json_object_set_new(top, "n_steps", n_steps == 0 ? json_null() : count(n_steps));
    json_object_set_new(top, "loss",
                        co->metrics == NULL ? json_null() : number(metrics_log_loss(co->metrics)));
    json_object_set_new(top, "tokens",
                        count(co->metrics == NULL ? 0 : metrics_log_n_tokens(co->metrics)));
    json_object_set_new(top, "tokens_per_s", number(rate));
    json_object_set_new(top, "grad_norm", number(co->grad_norm));
    json_object_set_new(top, "student_time", show_student_time(co));
    json_object_set_new(top, "eta_s",
                        json_pack("{s:o, s:o}", "label", eta(label_left), "train", eta(left)));
    json_object_set_new(top, "state", json_string(step_state_name(step_control_state(co->steps))));
    json_object_set_new(top, "generation", count(step_control_generation(co->steps)));
    json_object_set_new(top, "rewinds", count(step_control_n_rewinds(co->steps)));
    json_object_set_new(top, "resends", count(co->feeder.n_resends));
    show_mode_json(co, top);
    json_object_set_new(top, "checkpoint", count(co->checkpoint));
    json_object_set_new(top, "best", show_best(co));
}

rt_status show_stats_json(coordinator *co, rt_buf *out, rt_error *err)
{
    static const char *const stages[] = {"all", "label", "train"};
    char doing[128], scratch[256];
    lease_counts leases;
    lease_table_count(co->leases, &leases);
    describe(co, doing, sizeof doing);
    json_t *top =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:f, s:o, s:o, s:o, s:f}", "run",
                  co->config->name, "version", RT_VERSION, "stage", stages[co->stage], "doing",
                  doing, "pid", (json_int_t)getpid(), "fingerprint", co->folder.fingerprint,
                  "uptime_s", (double)(co->now_ms - co->start_ms) / 1000.0, "rows",
                  show_rows(co, &leases), "rejected_by_reason", show_reasons(co), "seconds",
                  show_seconds(co), "labelled_per_s", progress_rate_get(&co->label_rate));
    if (top == NULL) return rt_fail(err, RT_NOMEM, "stats");
    add_training(co, top);
    json_object_set_new(
        top, "labels",
        json_pack("{s:b, s:b}", "active", co->stage != STAGE_TRAIN, "done", labelling_is_done(co)));
    json_object_set_new(top, "training",
                        json_pack("{s:b, s:b}", "active", co->stage != STAGE_LABEL, "done",
                                  co->stage != STAGE_LABEL && train_stage_is_done(co)));
    json_object_set_new(top, "queues",
                        json_pack("{s:o, s:o, s:o, s:b}", "labels", count(co->n_labels_in_stream),
                                  "batches", count(co->n_batches_measured), "dead",
                                  count(co->n_dead_in_stream), "connected",
                                  queue_link_problem(co->link)[0] == '\0'));
    json_object_set_new(top, "leases", show_leases(&leases));
    show_money_json(co, top);
    show_view_json(co, top);
    json_object_set_new(top, "members", show_members(co));
    const char *problem = show_problem(co, scratch, sizeof scratch);
    json_object_set_new(top, "problem", json_string(problem));
    char *text = json_dumps(top, JSON_COMPACT | JSON_REAL_PRECISION(10));
    json_decref(top);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "stats");
    rt_status st = rt_buf_printf(out, err, "%s\n", text);
    free(text);
    return st;
}

static void draw(coordinator *co)
{
    rt_error why = {0};
    rt_buf json = {0}, metrics = {0};
    if (show_stats_json(co, &json, &why) == RT_OK && show_metrics(co, &metrics, &why) == RT_OK) {
        pictures_put(co->pictures, PICTURE_STATS, &json);
        pictures_put(co->pictures, PICTURE_METRICS, &metrics);
    } else {
        rt_log_warn("stats.show", "%s", why.text);
    }
    rt_buf_free(&json);
    rt_buf_free(&metrics);
}

void show_picture(coordinator *co)
{
    if (co->http != NULL) http_server_beat(co->http, co->now_ms);
    if (co->shown_ms != 0 && co->now_ms - co->shown_ms < SHOW_MS) return;
    co->shown_ms = co->now_ms;
    watch_turn(co);
    if (co->http == NULL) return;
    draw(co);
    http_server_wake(co->http);
}
